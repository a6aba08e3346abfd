"""Mail to others through a smart host, a second Postfix; and the queue where it waits otherwise."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstboot.base.roundtrip import trusting
from firstboot.base.sections import Relay
from firstboot.base.services import Stack
from firstboot.base.waiting import wait_for
from firstboot.queue.messages import Message
from firstboot.queue.reasons import explain
from firstboot.queue.spool import Spool
from firstboot.system.smtp import LoginRefusedError, UnreachableError, try_relay
from tests.stack.boxes import Boxes
from tests.stack.changed import use_settings
from tests.stack.mail import Mail
from tests.stack.messages import new_mark, ordinary
from tests.stack.people import EXAMPLE, GRACE
from tests.stack.smarthost import NAME, SmartHost, smart_host
from tools.stack.example import ADA, example_settings
from tools.stack.lifecycle import StackUp

# Far away, and reached by nothing but the smart host, which holds it.
BOB = "bob@example.net"


class Relaying:
    """The stack, with other settings of the relay whenever that is wanted."""

    def __init__(self, stack: StackUp, services: Stack, host: SmartHost, password: str) -> None:
        self.stack, self.services, self.host, self.password = stack, services, host, password
        self.spool = Spool(stack.engine, stack.home.project)

    def set(self, relay: Relay, *, trusted: bool = True) -> None:
        """Do what a start does with these settings; `trusted`: the authorities know the host."""
        settings = example_settings(EXAMPLE, self.stack.home).model_copy(update={"relay": relay})
        authority = self.host.certificate if trusted and relay.host else None
        use_settings(self.stack, self.services, settings, ("mta",), authority=authority)

    def login(self, *, password: str = "", tls: str = "starttls") -> Relay:
        return Relay.model_validate(
            {
                "host": NAME,
                "tls": tls,
                "username": ADA.address,
                "password": password or self.password,
            }
        )

    def waiting(self, *, reason: str) -> Message:
        """The message to Bob, as soon as it waits for a reason."""

        def look() -> Message | None:
            for message in self.spool.messages():
                for recipient in message.recipients:
                    if recipient.address == BOB and reason in explain(recipient.said).text:
                        return message
            return None

        return wait_for(look, what=f"a message that waits: {reason}", timeout=120, interval=0.5)

    def conversations(self) -> list[str]:
        """What the smart host has logged at the end of each connection."""
        log = self.host.api.logs(self.host.container).decode(errors="replace")
        return [line for line in log.splitlines() if "disconnect from" in line]

    def is_empty(self) -> bool:
        return not self.spool.messages()

    def await_empty(self) -> None:
        wait_for(self.is_empty, what="an empty queue", timeout=120, interval=0.5)


@pytest.fixture(scope="module")
def relaying(
    stack: StackUp,
    services: Stack,
    boxes: Boxes,
    mail: Mail,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Relaying]:
    folder: Path = tmp_path_factory.mktemp("smarthost")
    with smart_host(stack, boxes.api, folder) as host:
        found = Relaying(stack, services, host, mail.password(ADA))
        try:
            yield found
        finally:
            found.set(Relay())


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_mail_to_others_goes_through_it_with_the_login(
    relaying: Relaying, mail: Mail, tls: str
) -> None:
    relaying.set(relaying.login(tls=tls))
    far, near = new_mark(), new_mark()
    mail.send(ADA, BOB, ordinary(far))
    message = relaying.host.await_message(far)
    assert f"(Authenticated sender: {ADA.address})" in message
    assert "using TLSv1." in message
    assert message.count("DKIM-Signature: ") == 2
    # What stays within the machine is nobody else's business.
    mail.send(ADA, GRACE.address, ordinary(near))
    assert mail.fetch(GRACE, near)
    assert relaying.host.find(near) is None
    relaying.await_empty()


def test_nobody_else_sees_the_password(relaying: Relaying, boxes: Boxes) -> None:
    relaying.set(relaying.login())
    assert boxes.run("mta", "stat", "-c", "%a %u", "/run/secrets/relay") == (0, "400 0\n")
    assert relaying.password not in boxes.run("mta", "cat", "/etc/postfix/main.cf")[1]
    for service in boxes.ids:
        assert relaying.password not in str(boxes.inspect(service))
    settings = boxes.run("directory", "cat", "/run/secrets/settings/settings.yaml")[1]
    assert NAME not in settings
    assert relaying.password not in settings


def test_a_wrong_password_leaves_mail_in_the_queue(
    relaying: Relaying, mail: Mail, boxes: Boxes
) -> None:
    relaying.set(relaying.login(password="wrong password"))
    mark = new_mark()
    mail.send(ADA, BOB, ordinary(mark))
    message = relaying.waiting(reason="The smart host does not take the login.")
    assert message.sender == ADA.address
    assert relaying.host.find(mark) is None
    # Held, it is not tried; released, it is, and with the right login it goes through.
    assert relaying.spool.change("hold", [message]) == 1
    relaying.set(relaying.login())
    assert [one.is_held for one in relaying.spool.messages()] == [True]
    relaying.spool.retry(None)
    assert relaying.spool.change("release", [message]) == 1
    relaying.spool.retry([message])
    assert relaying.host.await_message(mark)
    relaying.await_empty()


def test_a_login_that_is_missing_returns_no_mail(relaying: Relaying, mail: Mail) -> None:
    """Though what the smart host says (554) is meant for good."""
    relaying.set(Relay.model_validate({"host": NAME}))
    mail.send(ADA, BOB, ordinary(new_mark()))
    message = relaying.waiting(reason="wants a login")
    assert " said: 554 5.7.1 " in message.recipients[0].said
    assert relaying.spool.change("delete", [message]) == 1


def test_nothing_is_said_to_somebody_else(relaying: Relaying, mail: Mail) -> None:
    """To whoever answers there without a certificate of that name; the message can be deleted."""
    relaying.set(relaying.login(), trusted=False)
    talks, mark = len(relaying.conversations()), new_mark()
    mail.send(ADA, BOB, ordinary(mark))
    message = relaying.waiting(reason="certificate")
    assert relaying.host.find(mark) is None
    # Its log may have that later than we see what it led to.
    (*_, said) = wait_for(
        lambda: relaying.conversations()[talks:] or None, what="a connection's end", timeout=120
    )
    assert "starttls=1" in said
    assert not re.search(r"\b(auth|mail|rcpt|data)=", said)
    assert relaying.spool.change("delete", [message]) == 1
    assert relaying.is_empty()
    # It is not there any more, which is no error.
    assert relaying.spool.change("delete", [message]) == 0


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_what_mailstead_check_tries(
    relaying: Relaying, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    connect = socket.create_connection

    def there(address: tuple[str, int], *more: object) -> socket.socket:
        assert address[0] == NAME
        return connect((relaying.host.address, address[1]), *more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", there)
    known, unknown = trusting(relaying.host.certificate), ssl.create_default_context()
    try_relay(relaying.login(tls=tls), EXAMPLE.hostname, known, 120)
    with pytest.raises(LoginRefusedError, match="535 5"):
        try_relay(relaying.login(tls=tls, password="wrong"), EXAMPLE.hostname, known, 120)
    with pytest.raises(UnreachableError, match="certificate"):
        try_relay(relaying.login(tls=tls), EXAMPLE.hostname, unknown, 120)

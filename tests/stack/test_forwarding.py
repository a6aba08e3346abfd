"""What is forwarded elsewhere: whom from, whom for, and what comes back; a smart host takes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from firstboot.base.services import Stack
from tests.stack.boxes import Boxes
from tests.stack.changed import changed_settings, use_settings
from tests.stack.mail import Mail, find, refusal
from tests.stack.messages import likely_spam, new_mark, ordinary
from tests.stack.people import EXAMPLE, GRACE, HEDY, STRANGER
from tests.stack.smarthost import NAME, SmartHost, smart_host
from tools.stack.example import ADA, example_settings
from tools.stack.lifecycle import StackUp

FAR, FRIEND, CLUB = "ada@far.example", "friend@far.example", "club.example.net"
GROUP = f"all@{EXAMPLE.domain}"
REPORTER = "MAILER-DAEMON"


@pytest.fixture(scope="module")
def far(
    stack: StackUp,
    services: Stack,
    boxes: Boxes,
    mail: Mail,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SmartHost]:
    """Everywhere else. Ada's mail goes there too; so does all of a domain."""
    every = [service.name for service in services.services]
    people = changed_settings(stack).model_dump(mode="json")["people"]
    people[0]["forward_to"] = [FAR]
    with smart_host(stack, boxes.api, tmp_path_factory.mktemp("far")) as host:
        settings = changed_settings(
            stack,
            people=people,
            domains=[{"name": EXAMPLE.domain}, {"name": CLUB, "catch_all": FRIEND}],
            groups=[{"address": GROUP, "members": [GRACE.address, FRIEND]}],
            relay={"host": NAME, "username": HEDY.address, "password": mail.password(HEDY)},
        )
        use_settings(stack, services, settings, every, authority=host.certificate)
        try:
            yield host
        finally:
            use_settings(stack, services, example_settings(EXAMPLE, stack.home), every)


def test_a_copy_goes_on_and_a_report_comes_back(far: SmartHost, mail: Mail) -> None:
    mark = new_mark()
    mail.receive([ADA.address], ordinary(mark, sender=STRANGER))
    # What stays here is as it was.
    assert mail.fetch(ADA, mark).startswith(f"Return-Path: <{STRANGER}>\r\n".encode())
    sender = far.await_envelope(mark, FAR)
    assert sender.startswith("SRS0=")
    assert sender.endswith(f"=example.org=stranger@{EXAMPLE.hostname}")
    report = new_mark()
    mail.receive([sender], ordinary(report), sender="")
    assert far.await_envelope(report, STRANGER) == REPORTER
    # And it goes to nobody else, nor does any that we did not make.
    with mail.smtp("smtp") as smtp:
        for forged in (
            sender.replace("stranger", "somebody"),
            sender.replace("example.org", "example.net"),
            sender.replace(EXAMPLE.hostname, EXAMPLE.domain),
            f"SRS0=aaaaaaaa=aa=example.org=somebody@{EXAMPLE.hostname}",
            "somebody=example.org@forward.invalid",
        ):
            assert refusal(smtp, "", forged)[0] in (550, 554)


def test_mail_of_our_own_people_keeps_its_sender(far: SmartHost, mail: Mail) -> None:
    mark = new_mark()
    mail.send(HEDY, GROUP, ordinary(mark, sender=HEDY.address))
    assert far.await_envelope(mark, FRIEND) == HEDY.address
    assert far.await_message(mark).count("DKIM-Signature: ") == 2
    assert mail.fetch(GRACE, mark)


def test_a_domain_that_only_forwards(far: SmartHost, mail: Mail) -> None:
    mark, role = new_mark(), new_mark()
    mail.receive([f"anybody@{CLUB}"], ordinary(mark, sender=STRANGER))
    assert far.await_envelope(mark, FRIEND).startswith("SRS0=")
    mail.receive([f"abuse@{CLUB}"], ordinary(role, sender=STRANGER))
    assert mail.fetch(ADA, role)
    assert far.envelope(role, FRIEND) is None


def test_spam_is_not_forwarded(far: SmartHost, mail: Mail, boxes: Boxes) -> None:
    mark = new_mark()
    mail.receive([ADA.address], likely_spam(mark), sender="win@example.org")
    assert mail.fetch(ADA, mark, folder="Junk")
    log = boxes.api.logs(boxes.ids["mta"], tail=200).decode()
    assert "spam is not forwarded" in log
    assert far.find(mark) is None


def test_what_goes_in_circles_ends(far: SmartHost, mail: Mail) -> None:
    mark = new_mark()
    trace = b"Received: from a.example by b.example; Mon, 30 Nov 2026 20:00:00 +0000\r\n" * 24
    mail.receive([ADA.address], trace + ordinary(mark, sender=STRANGER))
    assert mail.fetch(ADA, mark)
    assert far.await_envelope(mark, STRANGER) == REPORTER
    assert far.envelope(mark, FAR) is None
    with mail.imap(ADA) as imap:
        assert len(list(find(imap, mark))) == 1

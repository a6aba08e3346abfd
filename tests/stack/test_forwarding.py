"""What is forwarded elsewhere: whom from, whom for, and what comes back; a smart host takes it."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest

from firstboot.base.services import Stack
from tests.stack.boxes import Boxes
from tests.stack.changed import changed_settings, use_settings
from tests.stack.mail import Mail, find, refusal
from tests.stack.messages import likely_spam, new_mark, ordinary
from tests.stack.people import EXAMPLE, GRACE, HEDY, STRANGER
from tests.stack.smarthost import NAME, SmartHost, smart_host
from tests.stack.test_transport import SIGNED, signatures
from tools.stack.example import ADA, example_settings
from tools.stack.lifecycle import StackUp

FAR, FRIEND, CLUB = "ada@far.example", "friend@far.example", "club.example.net"
GROUP, BOTH = f"all@{EXAMPLE.domain}", f"both@{EXAMPLE.domain}"
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
            groups=[
                {"address": GROUP, "members": [GRACE.address, FRIEND]},
                {"address": BOTH, "members": [ADA.address, FAR, FRIEND]},
            ],
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


def test_what_our_own_people_send_comes_back_to_them(
    far: SmartHost, stack: StackUp, mail: Mail
) -> None:
    mark, report = new_mark(), new_mark()
    mail.send(HEDY, GROUP, ordinary(mark, sender=HEDY.address))
    sender = far.await_envelope(mark, FRIEND)
    assert sender.startswith("SRS0=")
    message = far.await_message(mark).replace("\n", "\r\n").encode()
    assert signatures(stack, message) == SIGNED
    assert mail.fetch(GRACE, mark)
    mail.receive([sender], ordinary(report), sender="")
    assert mail.fetch(HEDY, report)


def test_nothing_in_a_message_is_changed(far: SmartHost, mail: Mail) -> None:
    """What Postfix would mend in what is sent by us: no ID, no date, a name for an address."""
    mark = new_mark()
    fields = f"From: Stranger <{STRANGER}>\nTo: {ADA.address}\nCc: grace\nSubject: a word\n"
    text = f"{fields}\nThis is {mark}.\n"
    mail.receive([ADA.address], text.replace("\n", "\r\n").encode(), sender=STRANGER)
    assert far.await_message(mark).endswith("\n" + text)


def test_an_address_elsewhere_gets_it_once(far: SmartHost, mail: Mail) -> None:
    mark = new_mark()
    mail.receive([ADA.address, GROUP, BOTH], ordinary(mark, sender=STRANGER))
    assert mail.fetch(ADA, mark)
    assert mail.fetch(GRACE, mark)
    far.await_envelope(mark, FRIEND)
    assert sorted(to for each in far.held(mark) for to in each.recipients) == [FAR, FRIEND]
    assert mail.count(ADA, mark) == 1


def test_a_sender_with_letters_of_any_script(far: SmartHost, mail: Mail) -> None:
    mark, report, sender = new_mark(), new_mark(), "jörg@example.org"
    options = ("SMTPUTF8", "BODY=8BITMIME")
    with mail.smtp("smtp") as smtp:
        smtp.sendmail(sender, [ADA.address], ordinary(mark, sender=STRANGER), options)
        made = far.await_envelope(mark, FAR)
        assert made.endswith(f"=example.org=jörg@{EXAMPLE.hostname}")
        smtp.sendmail("", [made], ordinary(report), options)
    assert far.await_envelope(report, sender) == REPORTER


def test_a_domain_that_only_forwards(far: SmartHost, mail: Mail) -> None:
    mark, role = new_mark(), new_mark()
    mail.receive([f"anybody@{CLUB}"], ordinary(mark, sender=STRANGER))
    assert far.await_envelope(mark, FRIEND).startswith("SRS0=")
    mail.receive([f"abuse@{CLUB}"], ordinary(role, sender=STRANGER))
    assert mail.fetch(ADA, role)
    assert far.envelope(role, FRIEND) is None


def test_likely_spam_is_not_forwarded(far: SmartHost, mail: Mail, boxes: Boxes) -> None:
    mark = new_mark()
    mail.receive([ADA.address], likely_spam(mark), sender="win@example.org")
    assert mail.fetch(ADA, mark, folder="Junk")
    assert boxes.await_log("mta", "spam is not forwarded")
    assert far.find(mark) is None


@pytest.mark.parametrize("recipients", [[f"anybody@{CLUB}"], [ADA.address, GROUP]], ids=str)
def test_likely_spam_is_refused_for_who_has_no_junk_here(
    far: SmartHost, mail: Mail, recipients: list[str]
) -> None:
    mark = new_mark()
    with pytest.raises(smtplib.SMTPDataError) as caught:
        mail.receive(recipients, likely_spam(mark), sender="win@example.org")
    assert caught.value.smtp_code == 554
    assert b"5.7.1 This message looks like spam" in caught.value.smtp_error
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

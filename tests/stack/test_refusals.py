"""What must not be taken: mail for others, from others, to the canary, or smuggled in."""

from __future__ import annotations

import contextlib
import smtplib
import socket

import pytest

from tests.stack.mail import Mail, refusal
from tests.stack.messages import new_mark, ordinary
from tests.stack.people import CANARY, GRACE, STRANGER
from tools.stack.example import ADA

# Old and odd ways to name a mailbox elsewhere, with which open relays have been found.
ELSEWHERE = [
    "somebody@example.org",
    "somebody%example.org@example.com",
    "somebody%example.org@mail.example.com",
    "somebody%example.org",
    '"somebody@example.org"',
    '"somebody@example.org"@example.com',
    '"somebody%example.org"@example.com',
    "somebody@example.org@example.com",
    "example.org!somebody",
    "example.org!somebody@example.com",
    "@example.com:somebody@example.org",
    "@mail.example.com,@example.com:somebody@example.org",
    "somebody@[192.0.2.1]",
    "somebody@[IPv6:2001:db8::1]",
    "somebody@192.0.2.1",
    "somebody@example.com.example.org",
    "somebody@sub.example.com",
    "somebody@localhost",
    "root@[127.0.0.1]",
]
SENDERS = [STRANGER, "", ADA.address, "postmaster@mail.example.com"]


@pytest.mark.parametrize("recipient", ELSEWHERE)
def test_no_open_relay(mail: Mail, recipient: str) -> None:
    with mail.smtp("smtp") as smtp:
        for sender in SENDERS:
            code, text = refusal(smtp, sender, recipient)
            assert 500 <= code < 600, (sender, code, text)


@pytest.mark.parametrize("service", ["submission", "submissions"])
def test_submission_needs_a_login(mail: Mail, service: str) -> None:
    with mail.smtp(service) as smtp:
        if service == "submission":
            assert refusal(smtp, ADA.address, GRACE.address)[0] == 530
            smtp.starttls(context=mail.context)
            smtp.ehlo()
        assert refusal(smtp, ADA.address, GRACE.address)[0] in {530, 554}
        assert refusal(smtp, ADA.address, STRANGER)[0] in {530, 554}


def test_login_is_offered_only_under_tls(mail: Mail) -> None:
    with mail.smtp("submission") as smtp:
        assert "auth" not in smtp.esmtp_features
        code, _ = smtp.docmd("AUTH", "PLAIN AGFkYQBzZWNyZXQ=")
        assert code == 530
        smtp.starttls(context=mail.context)
        smtp.ehlo()
        assert smtp.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
    with mail.smtp("submissions") as smtp:
        assert "auth" in smtp.esmtp_features


def test_no_login_where_foreign_servers_come_in(mail: Mail) -> None:
    with mail.smtp("smtp") as smtp:
        assert "auth" not in smtp.esmtp_features
        smtp.starttls(context=mail.context)
        smtp.ehlo()
        assert "auth" not in smtp.esmtp_features
        code, _ = smtp.docmd("AUTH", "PLAIN AGFkYQBzZWNyZXQ=")
        assert code >= 500


@pytest.mark.parametrize(
    "sender", [GRACE.address, STRANGER, CANARY, "nobody@example.com", "postmaster@example.org"]
)
def test_nobody_sends_as_somebody_else(mail: Mail, sender: str) -> None:
    with mail.submission(ADA) as smtp:
        code, text = refusal(smtp, sender, GRACE.address)
    assert (code, "not owned by user" in text) == (553, True)


@pytest.mark.parametrize("sender", ["ada@example.com", "countess@example.com", "ada+x@example.com"])
def test_people_send_as_all_that_is_theirs(mail: Mail, sender: str) -> None:
    with mail.submission(ADA) as smtp:
        assert refusal(smtp, sender, GRACE.address)[0] == 250


@pytest.mark.parametrize("recipient", [CANARY, CANARY.upper(), CANARY.replace("@", "+x@")])
def test_the_canary_is_out_of_reach(mail: Mail, recipient: str) -> None:
    with mail.smtp("smtp") as smtp:
        assert refusal(smtp, STRANGER, recipient)[0] in {550, 554}


@pytest.mark.parametrize("recipient", ["nobody@example.com", "nobody+ada@example.com"])
def test_unknown_recipients(mail: Mail, recipient: str) -> None:
    with mail.smtp("smtp") as smtp:
        assert refusal(smtp, STRANGER, recipient)[0] == 550
    with mail.submission(ADA) as smtp:
        assert refusal(smtp, ADA.address, recipient)[0] == 550


def test_addresses_cannot_be_asked_for(mail: Mail) -> None:
    with mail.smtp("smtp") as smtp:
        assert smtp.verify(ADA.address)[0] == 502
        assert smtp.expn(ADA.address)[0] in {500, 502}


@pytest.mark.parametrize(
    ("service", "end"),
    [
        ("smtp", b"\n.\n"),
        ("smtp", b"\n.\r\n"),
        ("smtp", b"\r\n.\n"),
        ("smtp", b"\r.\r"),
        ("smtp", b"\r\n.\r"),
        ("submission", b"\n.\n"),
        ("submission", b"\r\n.\n"),
    ],
)
def test_nothing_is_smuggled(mail: Mail, service: str, end: bytes) -> None:
    """What looks like an end of data to careless software hides no second message (CVE-2023-51764).

    Whether the first is refused or taken whole, only one may arrive, and never the second.
    """
    first, second = new_mark(), new_mark()
    hidden = b"MAIL FROM:<ada@example.com>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n"
    with contextlib.ExitStack() as stack:
        if service == "submission":
            smtp = stack.enter_context(mail.submission(ADA))
        else:
            smtp = stack.enter_context(mail.smtp("smtp"))
        for command in ("MAIL FROM:<ada@example.com>", "RCPT TO:<ada@example.com>"):
            assert smtp.docmd(command)[0] == 250
        assert smtp.docmd("DATA")[0] == 354
        sock = smtp.sock
        assert isinstance(sock, socket.socket)
        sock.sendall(
            f"Subject: {first}\r\n\r\nfirst".encode()
            + end
            + hidden
            + f"Subject: {second}\r\n\r\nsecond\r\n.\r\n".encode()
        )
        with contextlib.suppress(smtplib.SMTPServerDisconnected):
            smtp.getreply()
    # Mail is delivered in order, and this comes after whatever was taken.
    last = new_mark()
    mail.send(ADA, ADA.address, ordinary(last))
    mail.fetch(ADA, last)
    assert mail.count(ADA, f"Subject: {first}") <= 1
    with mail.imap(ADA) as imap:
        # A message that begins with it, not one that merely contains it.
        assert imap.search(None, "SUBJECT", second)[1] == [b""]

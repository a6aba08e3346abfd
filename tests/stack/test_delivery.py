"""Mail arrives, byte for byte, on every way that it may come in."""

from __future__ import annotations

import random
import smtplib

import pytest

from firstboot.base.roundtrip import Account, message_difference, round_trip
from tests.stack.mail import HELO, Mail
from tests.stack.messages import attachment, new_mark, ordinary, with_body
from tests.stack.people import EXAMPLE, GRACE, STRANGER
from tools.stack.example import ADA
from tools.stack.lifecycle import StackUp


def test_round_trip_as_the_appliance_checks_itself(stack: StackUp, mail: Mail) -> None:
    account = Account(
        hostname=stack.hostname,
        address=stack.person,
        password=mail.password(ADA),
        submission=stack.ports["submission"],
        imaps=stack.ports["imaps"],
        context=mail.context,
    )
    assert round_trip(account).bytes > 1000


@pytest.mark.parametrize("service", ["submission", "submissions"])
def test_submission_arrives_unchanged(mail: Mail, service: str) -> None:
    mark = new_mark()
    message = ordinary(mark)
    with mail.submission(ADA, service) as smtp:
        smtp.sendmail(ADA.address, [GRACE.address], message)
    fetched = mail.fetch(GRACE, mark)
    assert message_difference(message, fetched) is None
    # What her program calls her computer is not told.
    assert b"Received: " in fetched
    assert HELO.encode() not in fetched


@pytest.mark.parametrize("tls", [False, True])
def test_foreign_mail_arrives_unchanged(mail: Mail, tls: bool) -> None:
    mark = new_mark()
    message = ordinary(mark, sender=STRANGER)
    with mail.smtp("smtp") as smtp:
        if tls:
            smtp.starttls(context=mail.context)
        smtp.sendmail(STRANGER, [ADA.address], message)
    assert message_difference(message, mail.fetch(ADA, mark)) is None


@pytest.mark.parametrize(
    "recipient",
    [
        "countess@example.com",
        "ada+news@example.com",
        "countess+news@example.com",
        "ADA@Example.COM",
        "postmaster@example.com",
        "postmaster@mail.example.com",
        "abuse@example.com",
        # Without a domain, as every server must take it (RFC 5321, 4.5.1).
        "postmaster",
    ],
)
def test_other_addresses_of_a_person(mail: Mail, recipient: str) -> None:
    mark = new_mark()
    message = ordinary(mark, sender=STRANGER)
    mail.receive([recipient], message)
    assert message_difference(message, mail.fetch(ADA, mark)) is None


def test_each_recipient_gets_one_copy(mail: Mail) -> None:
    mark = new_mark()
    mail.receive([ADA.address, GRACE.address, "countess@example.com"], ordinary(mark))
    mail.fetch(GRACE, mark)
    mail.fetch(ADA, mark)
    assert (mail.count(ADA, mark), mail.count(GRACE, mark)) == (1, 1)


def test_bounces_are_taken(mail: Mail) -> None:
    mark = new_mark()
    mail.receive([ADA.address], ordinary(mark), sender="")
    assert mail.fetch(ADA, mark).startswith(b"Return-Path: <>\r\n")


def test_ten_megabytes(mail: Mail, dice: random.Random) -> None:
    mark = new_mark()
    body = attachment(dice.randbytes(10 << 20))
    message = with_body(mark, body, encoding="base64")
    mail.send(ADA, GRACE.address, message)
    assert message_difference(message, mail.fetch(GRACE, mark, timeout=240)) is None


def test_too_large_is_refused_before_it_is_sent(mail: Mail) -> None:
    with mail.submission(ADA) as smtp:
        limit = int(smtp.esmtp_features["size"])
        code, _ = smtp.mail(ADA.address, [f"SIZE={limit + 1}"])
    assert code == 552


def test_eight_bits(mail: Mail) -> None:
    mark = new_mark()
    message = with_body(mark, "Grüße, 日本 und Ω\r\n".encode(), encoding="8bit")
    with mail.submission(ADA) as smtp:
        smtp.sendmail(ADA.address, [GRACE.address], message, mail_options=["BODY=8BITMIME"])
    assert message_difference(message, mail.fetch(GRACE, mark)) is None


def test_addresses_and_header_in_utf8(mail: Mail) -> None:
    mark = new_mark()
    message = with_body(mark, "Ω\r\n".encode(), subject="Grüße", encoding="8bit")
    with mail.smtp("smtp") as smtp:
        _send_utf8(smtp, "jürgen@beispiel.example.org", GRACE.address, message)
    delivered = mail.fetch(GRACE, mark)
    assert message_difference(message, delivered) is None
    assert delivered.startswith("Return-Path: <jürgen@beispiel.example.org>\r\n".encode())


def _send_utf8(smtp: smtplib.SMTP, sender: str, recipient: str, message: bytes) -> None:
    """With SMTPUTF8 (RFC 6531), which smtplib's sendmail knows for str messages only."""
    smtp.command_encoding = "utf-8"
    assert smtp.mail(sender, ["SMTPUTF8", "BODY=8BITMIME"])[0] == 250
    assert smtp.rcpt(recipient)[0] == 250
    assert smtp.data(message)[0] == 250


def test_a_message_ends_where_its_sender_ends_it(mail: Mail) -> None:
    """Lines of dots, and the longest line there may be (RFC 5321, 4.5.3.1.6)."""
    mark = new_mark()
    body = b".\r\n..\r\n...x\r\n" + b"y" * 998 + b"\r\n" + mark.encode() + b"\r\n"
    message = with_body(mark, body)
    mail.receive([ADA.address], message)
    assert message_difference(message, mail.fetch(ADA, mark)) is None


def test_the_first_person_is_told(stack: StackUp) -> None:
    told = stack.to_json()
    assert told["person"]["address"] == EXAMPLE.people[0].address
    assert set(told["ports"]) == {"https", "imaps", "pop3s", "smtp", "submission", "submissions"}
    assert stack.password_file.stat().st_mode & 0o777 == 0o600

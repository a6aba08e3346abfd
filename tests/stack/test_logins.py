"""Logins: wrong ones are refused, and too many wrong ones are limited, whatever they came by."""

from __future__ import annotations

import base64
import imaplib
import smtplib
from collections.abc import Iterator

import pytest

from tests.stack.boxes import Boxes
from tests.stack.mail import Mail, refusal
from tests.stack.people import GRACE, JOAN
from tools.stack.example import ADA, Person

# More than the directory lets pass.
TRIES = 40


@pytest.fixture
def no_failures_left(boxes: Boxes) -> Iterator[None]:
    """Failures count for the address that all tests come from, too."""
    yield
    assert boxes.run("redis", "redis-cli", "flushall") == (0, "OK\n")


def _smtp_login(mail: Mail, person: Person, password: str) -> int:
    with mail.smtp("submissions") as smtp:
        try:
            code, _ = smtp.login(person.address, password)
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code
        return code


def _imap_refusal(mail: Mail, person: Person, password: str) -> str:
    """What a login over IMAP is answered, "" when it is right."""
    with mail.imap_connection() as imap:
        try:
            imap.login(person.address, password)
        except imaplib.IMAP4.error as error:
            return str(error)
        return ""


@pytest.mark.usefixtures("no_failures_left")
@pytest.mark.parametrize("password", ["wrong", "", "x" * 1025, "Grüße", "a\0b", "a\tb\n"])
def test_wrong_passwords(mail: Mail, password: str) -> None:
    """RFC 4616, from below smtplib, which sends ASCII only."""
    response = base64.b64encode(f"\0{GRACE.address}\0{password}".encode()).decode()
    with mail.smtp("submissions") as smtp:
        assert smtp.docmd("AUTH", f"PLAIN {response}")[0] == 535
        assert refusal(smtp, GRACE.address, ADA.address)[0] == 554


@pytest.mark.usefixtures("no_failures_left")
def test_a_person_who_does_not_exist_is_answered_like_one_who_does(mail: Mail) -> None:
    nobody = Person("nobody@example.com", "")
    assert _smtp_login(mail, nobody, "wrong") == _smtp_login(mail, GRACE, "wrong") == 535
    assert _imap_refusal(mail, nobody, "wrong") == _imap_refusal(mail, GRACE, "wrong")


def test_an_alias_logs_in_as_its_person(mail: Mail) -> None:
    alias = Person(ADA.aliases[0], "")
    assert _smtp_login(mail, alias, mail.password(ADA)) == 235


@pytest.mark.usefixtures("no_failures_left")
def test_guessing_is_limited(mail: Mail, boxes: Boxes) -> None:
    """After enough failures over IMAP, submission refuses the right password, too, for a while."""
    answers = (_imap_refusal(mail, JOAN, f"guess {number}") for number in range(TRIES))
    failures = 0
    for answer in answers:
        if "[LIMIT]" in answer:
            break
        assert "[AUTHENTICATIONFAILED]" in answer
        failures += 1
    assert 5 <= failures < TRIES
    assert _smtp_login(mail, JOAN, mail.password(JOAN)) in {454, 535}
    assert "[LIMIT]" in _imap_refusal(mail, JOAN, mail.password(JOAN))
    # Others go on, and the limit ends by itself: each counter in Redis has its time.
    assert _smtp_login(mail, ADA, mail.password(ADA)) == 235
    keys = boxes.run("redis", "redis-cli", "keys", "login:*")[1].split()
    assert keys
    for key in keys:
        assert 0 < int(boxes.run("redis", "redis-cli", "ttl", key)[1]) <= 3600


@pytest.mark.usefixtures("all_well", "no_failures_left")
def test_without_redis_everybody_gets_in(mail: Mail, boxes: Boxes) -> None:
    boxes.kill("redis")
    assert _smtp_login(mail, ADA, mail.password(ADA)) == 235
    assert _smtp_login(mail, ADA, "wrong") == 535
    boxes.mend()

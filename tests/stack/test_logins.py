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
    failures, times, waits = 0, {}, []
    for number in range(TRIES):
        answer = _imap_refusal(mail, JOAN, f"guess {number}")
        if "[LIMIT]" in answer:
            times = _times_left(boxes)
            # It begins with seconds, and a slow host takes them for a single login.
            if waits := [key for key in times if key.endswith(":wait") and _lasts(boxes, key)]:
                break
        else:
            assert "[AUTHENTICATIONFAILED]" in answer
            failures += 1
    assert waits
    assert 5 <= failures < TRIES
    assert _smtp_login(mail, JOAN, mail.password(JOAN)) in {454, 535}
    assert "[LIMIT]" in _imap_refusal(mail, JOAN, mail.password(JOAN))
    # Others go on, and the limit ends by itself: each counter in Redis has its time.
    assert _smtp_login(mail, ADA, mail.password(ADA)) == 235
    assert all(0 < time <= 3600 for time in times.values()), times


def _times_left(boxes: Boxes) -> dict[str, int]:
    """The seconds that each counter of logins has left in Redis; a negative number: for ever."""
    keys = boxes.run("redis", "redis-cli", "keys", "login:*")[1].split()
    times = {key: int(boxes.run("redis", "redis-cli", "ttl", key)[1]) for key in keys}
    # What has ended since it was listed has -2 (Redis, TTL).
    return {key: time for key, time in times.items() if time != -2}


def _lasts(boxes: Boxes, key: str) -> bool:
    """Make it last for ten minutes from now on; False if it has ended already."""
    return boxes.run("redis", "redis-cli", "expire", key, "600") == (0, "1\n")


@pytest.mark.usefixtures("all_well", "no_failures_left")
def test_without_redis_everybody_gets_in(mail: Mail, boxes: Boxes) -> None:
    boxes.kill("redis")
    assert _smtp_login(mail, ADA, mail.password(ADA)) == 235
    assert _smtp_login(mail, ADA, "wrong") == 535
    boxes.mend()

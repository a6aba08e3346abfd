"""No open relay: the old and odd ways to name a mailbox elsewhere, over IPv4 and over IPv6."""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest

from tests.stack.boxes import Boxes
from tests.stack.mail import HELO, SECONDS, Mail, refusal
from tests.stack.people import STRANGER
from tools.stack.example import ADA

# With which open relays have been found.
ELSEWHERE = [
    "somebody@example.org",
    "somebody%example.org@example.com",
    "somebody%example.org@mail.example.com",
    "somebody%example.org@[127.0.0.1]",
    "somebody%example.org",
    '"somebody@example.org"',
    '"somebody@example.org"@example.com',
    '"somebody@example.org"@mail.example.com',
    '"somebody%example.org"@example.com',
    '"somebody%example.org"',
    "somebody@example.org@example.com",
    "somebody@example.org@mail.example.com",
    "example.org!somebody",
    "example.org!somebody@example.com",
    "example.org!somebody@mail.example.com",
    '"example.org!somebody"@example.com',
    "@example.com:somebody@example.org",
    "@mail.example.com,@example.com:somebody@example.org",
    "@example.org:ada@example.org",
    "@[127.0.0.1]:somebody@example.org",
    "somebody@[192.0.2.1]",
    "somebody@[IPv6:2001:db8::1]",
    "somebody@192.0.2.1",
    "somebody@2001:db8::1",
    "somebody@example.com.example.org",
    "somebody@sub.example.com",
    "somebody@localhost",
    "somebody@mta",
    "root@[127.0.0.1]",
    "root@[IPv6:::1]",
    "somebody+x@example.org",
    "ada@example.com@example.org",
]
SENDERS = [
    STRANGER,
    "",
    ADA.address,
    "postmaster@mail.example.com",
    "postmaster",
    "ada@[127.0.0.1]",
    "@example.com:stranger@example.org",
    "somebody@localhost",
]


@dataclass(frozen=True)
class Ends:
    """The IPv6 addresses of the mta's container and of this host in the network between them."""

    container: str
    host: str


@pytest.fixture
def ends(boxes: Boxes) -> Ends:
    networks = boxes.inspect("mta")["NetworkSettings"]["Networks"]
    found = networks[f"{boxes.stack.home.project}_edge"]
    return Ends(found["GlobalIPv6Address"], found["IPv6Gateway"])


def relayed(open_connection: Callable[[], AbstractContextManager[smtplib.SMTP]]) -> list[str]:
    """Each sender and recipient that were not refused for good, with the answer.

    Several connections at once, since each begins by waiting for a name server; each with so few
    errors that Postfix does not slow it down.
    """

    def look(recipient: str) -> list[str]:
        with open_connection() as smtp:
            found = [(sender, refusal(smtp, sender, recipient)) for sender in SENDERS]
        return [f"{sender} to {recipient}: {text}" for sender, text in found if text[0] < 500]

    with ThreadPoolExecutor(8) as pool:
        return [line for lines in pool.map(look, ELSEWHERE) for line in lines]


def test_no_open_relay(mail: Mail) -> None:
    assert relayed(lambda: mail.smtp("smtp")) == []


def test_no_open_relay_over_ipv6(ends: Ends) -> None:
    @contextlib.contextmanager
    def connection() -> Iterator[smtplib.SMTP]:
        smtp = smtplib.SMTP(ends.container, 25, local_hostname=HELO, timeout=SECONDS)
        with contextlib.closing(smtp):
            smtp.ehlo()
            yield smtp

    assert relayed(connection) == []


def test_who_comes_over_ipv6_is_known_by_that_address(ends: Ends, boxes: Boxes) -> None:
    """By which it is limited; and it has no more rights than anybody."""
    with smtplib.SMTP(ends.container, 25, local_hostname=HELO, timeout=SECONDS) as smtp:
        smtp.ehlo()
        assert refusal(smtp, STRANGER, ADA.address)[0] == 250
    assert boxes.await_log("mta", f"connect from unknown[{ends.host}]")


@pytest.mark.parametrize("service", ["submission", "submissions"])
def test_a_login_opens_no_address_literals_and_routes(mail: Mail, service: str) -> None:
    """A person may write to anybody, but only as oneself, and through no other machine."""
    with mail.submission(ADA, service) as smtp:
        for sender in (
            "@example.com:grace@example.com",
            "ada%example.org@example.com",
            '"ada@example.org"@example.com',
            "ada@[127.0.0.1]",
            "grace",
        ):
            assert refusal(smtp, sender, STRANGER)[0] >= 500, sender
        for recipient in ("somebody%example.org@example.com", '"somebody@example.org"@example.com'):
            assert refusal(smtp, ADA.address, recipient)[0] >= 500, recipient
        # Nothing was sent: all that was asked is whether it would be.
        assert refusal(smtp, ADA.address, STRANGER)[0] == 250

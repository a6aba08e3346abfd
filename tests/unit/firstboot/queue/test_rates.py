"""How much mail came and went, counted from lines that Postfix logs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from firstboot.queue.rates import Per, RateJson, count_mail
from firstboot.queue.stories import Logged

CANARY = "canary@mail.example.com"
NOW = datetime(2026, 12, 1, 7, 42, tzinfo=UTC)
START = "postfix/smtpd[1]: connect from mx.example.org[192.0.2.7]"
HERE = "relay=mailstore[172.18.0.4]:24"


def delivery(to: str, relay: str, said: str, status: str = "sent") -> str:
    return (
        f"postfix/x[3]: 4bYx1Q2dzJz1: to=<{to}>, {relay}, delay=0.3, delays=0.2/0/0/0.1, "
        f"dsn=2.0.0, status={status} ({said})"
    )


INBOX = delivery("ada@example.com", HERE, "250 2.0.0 Delivered")
JUNK = delivery("ada@example.com", HERE, "250 2.0.0 Delivered to Junk")
SENT = delivery("bob@far.example", "relay=mx.far.example[192.0.2.9]:25", "250 ok, as before")
UNKNOWN = (
    "postfix/smtpd[5]: NOQUEUE: reject: RCPT from mx.example.org[192.0.2.7]: 550 5.1.1 "
    "<x@example.com>: User unknown; from=<eve@example.org> to=<x@example.com> proto=ESMTP"
)
SPAM = (
    "postfix/cleanup[6]: 2aAAAAAA1: milter-reject: END-OF-MESSAGE from mx.example.org[192.0.2.7]: "
    "5.7.1 This message looks like spam; from=<win@example.org> to=<ada@example.com> proto=ESMTP"
)
# Steps within the machine, what waits, what came twice, and the machine's own round trip.
NOTHING = (
    START,
    delivery("a@b.example", "relay=127.0.0.1[127.0.0.1]:10026", "250 ok: queued as 3bBBBBBB2"),
    delivery("ada@example.com", HERE, "452 4.2.2 full", "deferred"),
    delivery("ada@example.com", HERE, "250 2.0.0 Delivered before"),
    delivery(CANARY, HERE, "250 2.0.0 Delivered"),
    "postfix/smtpd[5]: NOQUEUE: reject: RCPT",
    "status=sent",
)


class Log:
    """These lines, and what was asked for."""

    def __init__(self, *lines: tuple[str, str]) -> None:
        self.lines = lines
        self.since = 0

    def scan(self, since: int, take: Callable[[Logged], None], **bounds: Any) -> None:
        self.since = since
        for time, message in self.lines:
            if any(word in message for word in bounds["words"]):
                take(Logged(time, message))

    def begins(self) -> str:
        return self.lines[0][0] if self.lines else ""


def numbers(rate: RateJson) -> list[int]:
    return [rate["received"], rate["junk"], rate["refused"], rate["sent"]]


def test_each_recipient_counts_once_in_its_hour() -> None:
    log = Log(
        ("2026-11-30T08:00:00Z", START),
        ("2026-11-30T08:59:59Z", INBOX),
        ("2026-12-01T06:00:00Z", JUNK),
        ("2026-12-01T06:30:00Z", UNKNOWN),
        ("2026-12-01T06:59:59Z", SPAM),
        ("2026-12-01T07:00:00Z", INBOX),
        ("2026-12-01T07:41:00Z", SENT),
        ("2026-12-01T07:41:00Z", INBOX),
        *(("2026-12-01T07:41:30Z", line) for line in NOTHING),
    )
    found = count_mail(log, "hour", NOW, CANARY)
    assert datetime.fromtimestamp(log.since, UTC) == datetime(2026, 11, 30, 8, tzinfo=UTC)
    rates = found["rates"]
    assert (len(rates), rates[0]["start"], rates[-1]["start"]) == (
        *(24, "2026-11-30T08:00:00Z"),
        "2026-12-01T07:00:00Z",
    )
    assert [numbers(rates[number]) for number in (0, 22, 23)] == [
        *([1, 0, 0, 0], [0, 1, 2, 0]),
        [2, 0, 0, 1],
    ]
    assert sum(sum(numbers(rate)) for rate in rates) == 7


def test_days_before_the_log_are_not_known() -> None:
    log = Log(("2026-11-29T23:00:00Z", START), ("2026-12-01T00:00:00Z", INBOX))
    found = count_mail(log, "day", NOW, CANARY)
    assert datetime.fromtimestamp(log.since, UTC) == datetime(2026, 11, 4, tzinfo=UTC)
    assert found["begins"] == "2026-11-29T23:00:00Z"
    assert [(rate["start"][:10], numbers(rate)) for rate in found["rates"]] == [
        ("2026-11-29", [0, 0, 0, 0]),
        ("2026-11-30", [0, 0, 0, 0]),
        ("2026-12-01", [1, 0, 0, 0]),
    ]


@pytest.mark.parametrize("per", ["hour", "day"])
def test_without_a_log_nothing_is_known(per: Per) -> None:
    assert count_mail(Log(), per, NOW, CANARY) == {"per": per, "begins": None, "rates": []}

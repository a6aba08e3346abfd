"""How much mail came and went, counted from what Postfix has logged: numbers and nothing else.

Each line that ends a delivery, or refuses one, counts as one: so a message to three people counts
three times.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from typing_extensions import TypedDict

from firstboot.queue.maillog import MailLog
from firstboot.queue.stories import REFUSED, Fate, Logged, parse_fate

Per = Literal["hour", "day"]
Count = Literal["received", "junk", "refused", "sent"]
# What is shown at a time: the last day by its hours, or four weeks by their days.
STEPS: Mapping[Per, tuple[timedelta, int]] = {
    "hour": (timedelta(hours=1), 24),
    "day": (timedelta(days=1), 28),
}
# One of these is in each line that counts.
_WORDS = ("status=sent", "reject: ")


class RateJson(TypedDict):
    """Mail from `start` (RFC 3339, UTC) on, for an hour or a day.

    `received` went into inboxes here, `junk` into Junk; `refused` was not taken, `sent` was taken
    by servers elsewhere.
    """

    start: str
    received: int
    junk: int
    refused: int
    sent: int


class RatesJson(TypedDict):
    """The last 24 hours or 28 days, the present one last. `begins`: where the log does (or null).

    What is wholly before that is not known, and left out.
    """

    per: Per
    begins: str | None
    rates: list[RateJson]


def count_mail(log: MailLog, per: Per, now: datetime, canary: str) -> RatesJson:
    """Count mail, without what the machine sends to itself to see whether mail works: `canary`."""
    step, number = STEPS[per]
    present = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if per == "day":
        present = present.replace(hour=0)
    first = present - (number - 1) * step
    starts = [first + passed * step for passed in range(number)]
    rates = [_nothing(start) for start in starts]

    def take(line: Logged) -> None:
        fate = parse_fate(line)
        count = _count_of(fate) if fate and fate.address != canary else None
        passed = (datetime.fromisoformat(line.time) - first) // step
        if count is not None and 0 <= passed < number:
            rates[passed][count] += 1

    log.scan(int(first.timestamp()), take, words=_WORDS)
    begins = log.begins()
    known = datetime.fromisoformat(begins) if begins else starts[-1] + step
    shown = [rate for rate, start in zip(rates, starts, strict=True) if start + step > known]
    return {"per": per, "begins": begins or None, "rates": shown}


def _nothing(start: datetime) -> RateJson:
    text = start.isoformat().replace("+00:00", "Z")
    return {"start": text, "received": 0, "junk": 0, "refused": 0, "sent": 0}


def _count_of(fate: Fate) -> Count | None:
    if fate.status == REFUSED:
        return "refused"
    if fate.status != "sent" or fate.is_inside:
        return None
    if not fate.is_mailbox:
        return "sent"
    if "before" in fate.said:
        return None
    return "junk" if "to Junk" in fate.said else "received"

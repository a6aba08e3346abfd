"""What the limits on sending are, and what somebody is told who has reached one; no I/O."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

HOUR, DAY = 3600, 86_400


@dataclass(frozen=True)
class Limit:
    """How many recipients within one `period` (seconds); `name` as in the settings, `limits.…`."""

    name: str
    period: int
    most: int

    @property
    def of_machine(self) -> bool:
        """Whether everybody together is counted, not each person."""
        return self.name.startswith("machine_")

    def key(self, person: str, now: float) -> str:
        """The counter of the period that `now` is in."""
        who = "" if self.of_machine else hashlib.sha256(person.encode()).hexdigest()[:32]
        return f"send:{self.name}:{who}:{int(now // self.period)}"

    def until(self, now: float) -> datetime.datetime:
        """When the next period begins."""
        end = (now // self.period + 1) * self.period
        return datetime.datetime.fromtimestamp(end, datetime.UTC)


PERIODS: Mapping[str, int] = {
    "person_hour": HOUR,
    "person_day": DAY,
    "machine_hour": HOUR,
    "machine_day": DAY,
}


def read_limits(section: object) -> tuple[Limit, ...]:
    """Read `limits` of the settings; what is not there, or `none`, is not limited.

    Raises ValueError for anything else than a number.
    """
    given = section if isinstance(section, dict) else {}
    limits = []
    for name, period in PERIODS.items():
        most = given.get(name)
        if most is None or most == "none":
            continue
        if type(most) is not int or most < 1:
            raise ValueError(f"limits.{name} is {most!r}, not a number")
        limits.append(Limit(name, period, most))
    return tuple(limits)


@dataclass(frozen=True)
class Refusal:
    """Why a message is not taken. One with more recipients than a limit allows `never` is."""

    limit: Limit
    until: datetime.datetime
    never: bool

    def reply(self, person: str, recipients: int) -> str:
        """The answer of SMTP, with code and enhanced code (RFC 3463: 4.7.1, 5.7.1)."""
        most = self.limit.most
        period = "hour" if self.limit.period == HOUR else "day"
        if self.never:
            return (
                f"554 5.7.1 This message has {recipients} recipients, and this server takes "
                f"{most} within one {period}"
            )
        again = f"Try again at {self.until:%H:%M} UTC"
        if self.limit.of_machine:
            return f"450 4.7.1 This server has sent to {most} recipients this {period}. {again}"
        return (
            f"450 4.7.1 {person} has reached {most} recipients this {period}. {again}. "
            "If that was not you, change your password"
        )

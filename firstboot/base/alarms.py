"""What the services want their owner to know at once: files below `/state/mail/directory/alarms`.

`compose/postmaster/directory/alarms.py` tells what is in one and writes it as `NAME.new.json`; it
is renamed to `NAME.told.json` when the owner is told. A service may have been taken over, so
nothing in these files is believed.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import TypedDict

from firstboot.base.files import sync_directory
from firstboot.base.rules import address_problem

FORMAT = 1
NEW, TOLD = ".new.json", ".told.json"
CURRENT = datetime.timedelta(days=1)
_MOST_BYTES = 4096
_PERIODS = {
    "person_hour": "hour",
    "person_day": "day",
    "machine_hour": "hour",
    "machine_day": "day",
}


class AlarmJson(TypedDict):
    """A limit on sending that was reached; by nobody in particular: by all together."""

    person: str | None
    limit: str
    most: int
    at: str
    until: str


@dataclass(frozen=True)
class Alarm:
    """A limit on sending that was reached; `person` is "" for everybody together.

    `limit` is its name below `limits` in the settings, `most` how many recipients it allows; at
    `until` sending goes on.
    """

    person: str
    limit: str
    most: int
    at: datetime.datetime
    until: datetime.datetime

    def as_json(self) -> AlarmJson:
        """Times are RFC 3339 in UTC."""
        return {
            "person": self.person or None,
            "limit": self.limit,
            "most": self.most,
            "at": self.at.isoformat(),
            "until": self.until.isoformat(),
        }

    def sentence(self) -> str:
        """What happened, for people."""
        who = self.person or "everybody together"
        return (
            f"{who} wanted to send to more than {self.most} recipients within one "
            f"{_PERIODS[self.limit]} (limits.{self.limit}) and was stopped "
            f"{self.at:%Y-%m-%d %H:%M} UTC, until {self.until:%H:%M}"
        )


def current_alarms(folder: Path, now: datetime.datetime | None = None) -> tuple[Alarm, ...]:
    """Those of the last 24 hours, told or not, oldest first."""
    now = now or datetime.datetime.now(datetime.UTC)
    found = [read_alarm(path) for path in _files(folder, NEW, TOLD)]
    return tuple(
        sorted(
            (alarm for alarm in found if alarm is not None and abs(now - alarm.at) < CURRENT),
            key=lambda alarm: alarm.at,
        )
    )


def new_alarms(folder: Path) -> Iterator[tuple[Path, Alarm | None]]:
    """Those that the owner was not told of, None for what cannot be read."""
    for path in _files(folder, NEW):
        yield path, read_alarm(path)


def mark_told(path: Path) -> None:
    """Note that the owner is told of an alarm; on disk when this returns."""
    path.rename(path.with_name(path.name.removesuffix(NEW) + TOLD))
    sync_directory(path.parent)


def read_alarm(path: Path) -> Alarm | None:
    """What is in a file; None when it is no alarm of a format that this version knows."""
    try:
        data = json.loads(_content(path))
        if data["format"] != FORMAT or data["kind"] != "sending" or data["limit"] not in _PERIODS:
            return None
        person, most = data["person"], data["most"]
        at, until = (datetime.datetime.fromisoformat(data[name]) for name in ("at", "until"))
        if type(most) is not int or (person and address_problem(person)):
            return None
        return Alarm(
            person, data["limit"], most, at.astimezone(datetime.UTC), until.astimezone(datetime.UTC)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _files(folder: Path, *suffixes: str) -> list[Path]:
    with contextlib.suppress(OSError):
        found = sorted(folder.iterdir())
        return [path for path in found if path.name.endswith(suffixes) and path.name[0] != "."]
    return []


def _content(path: Path) -> bytes:
    """A plain file and no link, and no more than an alarm is long."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is no file")
        return file.read(_MOST_BYTES)

"""What the owner has to be told about at once, as files that the machine outside picks up.

A container has no way to write to the owner by itself. It leaves `NAME.new.json`; `mailstead
alarms tell`, woken by systemd, sends a mail and renames it to `NAME.told.json`. Format 1 is an
object: `format`, `kind` (`sending`), `person` ("" for everybody together), `limit`, `most`, `at`
and `until` (RFC 3339, UTC).
"""

from __future__ import annotations

import contextlib
import datetime
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from postmaster.files import sync_directory, write_synced

FORMAT = 1
NEW, TOLD = ".new.json", ".told.json"
MOST_ALARMS = 50  # a disk full of them would help nobody


@dataclass(frozen=True)
class Alarm:
    """A limit on sending that was reached: whose, which, how many, when, and when it ends."""

    person: str
    limit: str
    most: int
    at: datetime.datetime
    until: datetime.datetime


def leave_alarm(folder: Path, alarm: Alarm) -> None:
    """Have the owner told; on disk when this returns. Raises OSError."""
    content = {
        "format": FORMAT,
        "kind": "sending",
        "person": alarm.person,
        "limit": alarm.limit,
        "most": alarm.most,
        "at": alarm.at.isoformat(timespec="seconds"),
        "until": alarm.until.isoformat(timespec="seconds"),
    }
    name = f"{alarm.at:%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
    partial = folder / f".{name}"
    write_synced(partial, json.dumps(content).encode() + b"\n")
    partial.rename(folder / f"{name}{NEW}")
    sync_directory(folder)
    _forget_oldest(folder)


def _forget_oldest(folder: Path) -> None:
    told = sorted(folder.glob(f"[!.]*{TOLD}"))
    for path in told[: max(0, len(told) - MOST_ALARMS)]:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

"""What the times and limits of backups must be in the settings; no I/O, no model.

Each `…_problem` returns `expected …` or None, as in `firstboot.base.rules`.
"""

from __future__ import annotations

import datetime
import re

from firstboot.base.located import Located, Place
from firstboot.base.rules import window_problem

# A day's backups at a time that nobody minds, and before the window of upgrades.
DEFAULT_SCHEDULE = "00:00-02:00"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_RATE = re.compile(r"([1-9]\d{0,5})([KM])", re.ASCII)
_AGE = re.compile(r"([1-9]\d{0,3})([hd])", re.ASCII)


def target_problem(name: str) -> str | None:
    """For the name of a target, which is that of files, too."""
    if _NAME.fullmatch(name):
        return None
    return "expected a name of at most 32 small letters, digits and hyphens"


def schedule_problem(text: str) -> str | None:
    """For when backups are made."""
    if text in {"off", "hourly"} or window_problem(text) is None:
        return None
    return "expected a daily time in UTC such as 00:00-02:00, hourly, or off"


def rate_problem(text: str) -> str | None:
    """For the most that is sent in a second."""
    if text == "none" or _RATE.fullmatch(text):
        return None
    return "expected a rate such as 500K or 5M (bytes a second), or none"


def age_problem(text: str) -> str | None:
    """For how old the last good backup may be."""
    return None if _AGE.fullmatch(text) else "expected an age such as 36h or 3d"


def rate(text: str) -> int | None:
    """KiB a second, None for no limit."""
    match = _RATE.fullmatch(text)
    return int(match[1]) * {"K": 1, "M": 1024}[match[2]] if match else None


def age(text: str) -> datetime.timedelta:
    """What `age_problem` finds nothing wrong with, as a length of time."""
    match = _AGE.fullmatch(text)
    assert match is not None, "the settings hold no other ages"
    number = int(match[1])
    return datetime.timedelta(hours=number) if match[2] == "h" else datetime.timedelta(days=number)


def check_backup(document: Located) -> None:
    """Note names and places of targets that come twice, and a schedule that keeps nothing."""
    root = document.value if isinstance(document.value, dict) else {}
    backup = root.get("backup")
    targets = backup.get("targets") if isinstance(backup, dict) else None
    for key in ("name", "repository"):
        seen: dict[str, int] = {}
        for index, target in enumerate(targets if isinstance(targets, tuple) else ()):
            value = target.get(key) if isinstance(target, dict) else None
            place: Place = ("backup", "targets", index, key)
            if not isinstance(value, str) or document.wrong(place):
                continue
            if value in seen:
                first = document.line(("backup", "targets", seen[value], key))
                document.add(place, f"expected each {key} once, got it again (line {first})")
            seen.setdefault(value, index)
    keep = backup.get("keep") if isinstance(backup, dict) else None
    names = ("hourly", "daily", "weekly", "monthly")
    if isinstance(keep, dict) and all(keep.get(name) == 0 for name in names):
        document.add(("backup", "keep"), "expected at least one backup that is kept")

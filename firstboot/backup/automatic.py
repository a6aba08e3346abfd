"""`mailstead backup automatic`: asked every quarter of an hour, makes what is due.

The next moment is drawn and on disk before an attempt begins, so whatever ends an attempt, the
machine does not try all the time. After a failure the next one is an hour away.
"""

from __future__ import annotations

import datetime
import json
import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from firstboot.backup.engine import Machine, back_up
from firstboot.backup.verify import verify
from firstboot.base.backuprules import age
from firstboot.base.backups import Standing, judge, read_backups, sample_failed
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.notices import leave_notice
from firstboot.base.progress import Report
from firstboot.base.window import DAY, following, random_moment, this_or_next

FORMAT = 1
HOUR = datetime.timedelta(hours=1)
SAMPLE_EVERY = datetime.timedelta(days=7)
WARN_AGAIN = datetime.timedelta(days=3)
# A moment further ahead was drawn when the clock was wrong.
FARTHEST = 2 * DAY + HOUR


@dataclass(frozen=True)
class Schedule:
    """RFC 3339 in UTC: the next backup by itself, since when there are targets, the last warning.

    "" where there is none.
    """

    at: str = ""
    since: str = ""
    warned: str = ""


def read_schedule(path: Path) -> Schedule:
    """What is kept; nothing when it cannot be read, then it is drawn anew."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            return Schedule()
        return Schedule(*(_time(data[name]) for name in ("at", "since", "warned")))
    except (OSError, ValueError, KeyError, TypeError):
        return Schedule()


def write_schedule(path: Path, schedule: Schedule) -> None:
    """Keep it, unless it is kept already: this is asked all day long."""
    if path.exists() and read_schedule(path) == schedule:
        return
    make_directory(path.parent, mode=0o700)
    write_atomic(path, json.dumps({"format": FORMAT, **asdict(schedule)}) + "\n")


def next_backup(machine: Machine) -> datetime.datetime | None:
    """When the next one by itself is due; None when there is none, or it is not drawn yet."""
    if machine.settings.backup.schedule == "off" or not machine.targets:
        return None
    at = read_schedule(machine.paths.backup_schedule).at
    return datetime.datetime.fromisoformat(at) if at else None


def automatic(machine: Machine, report: Report) -> bool:
    """Make backups and test restores that are due; whether anything was."""
    path, backup, now = machine.paths.backup_schedule, machine.settings.backup, machine.now()
    schedule = read_schedule(path)
    if not machine.targets or backup.schedule == "off":
        why = "the settings name no targets" if not machine.targets else "backup.schedule is off"
        report(f"no backups by themselves: {why}")
        write_schedule(path, replace(schedule, at="", since=""))
        return False
    schedule = replace(schedule, since=schedule.since or _text(now))
    due = datetime.datetime.fromisoformat(schedule.at) if schedule.at else None
    if due is None or due - now > FARTHEST:
        due = first_moment(backup.schedule, now)
        schedule = replace(schedule, at=_text(due))
    write_schedule(path, schedule)
    if now < due:
        report(f"the next backup is due at {due:%Y-%m-%d %H:%M} UTC")
        return _test_restores(machine, report)
    after = later_moment(backup.schedule, now)
    write_schedule(path, replace(schedule, at=_text(min(after, now + HOUR))))
    entries = back_up(machine, machine.targets, report)
    if all(entry.good for entry in entries):
        write_schedule(path, replace(schedule, at=_text(after)))
    _test_restores(machine, report)
    return True


def first_moment(schedule: str, now: datetime.datetime) -> datetime.datetime:
    """When the first backup is due: at once, or in the window that is open or next."""
    return now if schedule == "hourly" else random_moment(this_or_next(schedule, now), now)


def later_moment(schedule: str, now: datetime.datetime) -> datetime.datetime:
    """When the one after one that begins now is due."""
    if schedule == "hourly":
        # Not a secret: it only spreads the load.
        return now + HOUR + datetime.timedelta(seconds=random.randrange(-300, 300))  # noqa: S311
    window = this_or_next(schedule, now)
    # One that was late, since the machine was off, does for the window that comes next. One at the
    # very end of its window may begin some minutes later.
    late = now - (window.end - DAY) > HOUR and window.begin - now < 12 * HOUR
    if late or window.begin <= now:
        window = following(schedule, window)
    return random_moment(window, window.begin)


def standings(machine: Machine) -> tuple[Standing, ...]:
    """How things are at each target."""
    entries, limit = (
        read_backups(machine.paths.backup_history),
        age(machine.settings.backup.warn_after),
    )
    return tuple(judge(entries, target.name, limit, machine.now()) for target in machine.targets)


def warn(machine: Machine) -> tuple[str, ...]:
    """Leave mail to the owner about what has been wrong for too long, every few days.

    Returns the lines for the console, none when nothing was told now.
    """
    path, now = machine.paths.backup_schedule, machine.now()
    schedule = read_schedule(path)
    if schedule.warned and abs(now - datetime.datetime.fromisoformat(schedule.warned)) < WARN_AGAIN:
        return ()
    since = datetime.datetime.fromisoformat(schedule.since) if schedule.since else now
    patient = now - since <= age(machine.settings.backup.warn_after)
    entries = read_backups(machine.paths.backup_history)
    wrong = [
        standing
        for standing in standings(machine)
        if standing.state == "old"
        or (standing.state in {"none", "unverified"} and not patient)
        or sample_failed(entries, standing.target)
    ]
    if not wrong:
        return ()
    lines = tuple(f"backup to {found.target}: {found.sentence()}" for found in wrong)
    text = (
        "\n".join(lines)
        + "\n\nTo try again: mailstead backup now\nTo look: mailstead backup list\n"
    )
    leave_notice(machine.paths, "backup", "A backup needs you", text)
    write_schedule(path, replace(schedule, warned=_text(now)))
    return lines


def _test_restores(machine: Machine, report: Report) -> bool:
    """Test restores that are due: each week, at each target that has a backup."""
    done = False
    entries = read_backups(machine.paths.backup_history)
    for target in machine.targets:
        mine = [entry for entry in entries if entry.target == target.name]
        samples = [entry for entry in mine if entry.kind == "sample"]
        has_backup = any(entry.good and entry.kind == "backup" for entry in mine)
        pause = SAMPLE_EVERY if samples and samples[-1].good else DAY
        if has_backup and (not samples or machine.now() - samples[-1].time >= pause):
            verify(machine, target, report, everything=False)
            done = True
    return done


def _text(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="seconds")


def _time(text: str) -> str:
    """A time as it is kept; ValueError when it is none."""
    if text and datetime.datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"{text!r} does not say of which zone it is")
    return text

"""`mailstead update automatic`: asked every quarter of an hour, upgrades once in the right night.

When a new version is found, a random moment in what is left of the window is drawn and kept in
schedule.json. Before the attempt begins, the moment is moved into the next window: whatever stops
an attempt, power or a server, the next one by itself is a night later.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import ReleaseError, UpdateRefusedError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.manifest import version_key
from firstboot.base.progress import Report
from firstboot.base.window import following, random_moment, this_or_next
from firstboot.update.apply import apply, choose, prepare
from firstboot.update.decide import (
    Facts,
    Request,
    refuse_by_itself,
    refuse_metered,
    refuse_outside_window,
    refuse_unsuitable,
    refuse_wrong_clock,
    show_time,
)
from firstboot.update.machine import Machine
from firstboot.update.source import Source

FORMAT = 1


@dataclass(frozen=True)
class Schedule:
    """When `version` is due."""

    version: str
    at: datetime.datetime


def refuse_now(facts: Facts) -> None:
    """All that speaks against looking for an upgrade at this moment; nothing is asked of anyone."""
    if not facts.updates.automatic:
        raise UpdateRefusedError("automatic upgrades are off, says updates.automatic")
    if facts.updates.url is None:
        raise UpdateRefusedError("the settings have no updates.url")
    if facts.attended:
        raise UpdateRefusedError(
            "the disk is opened by a passphrase, so that somebody has to be there at a restart",
            "Upgrade when you are: mailstead update apply",
        )
    refuse_wrong_clock(facts)
    refuse_metered(facts, Request())
    refuse_outside_window(facts)


def due(schedule: Schedule | None, version: str, facts: Facts) -> Schedule:
    """The schedule for a version that was found: the one there is, or a new one. Pure but random.

    A moment that passed in an earlier window, while the machine was off, does not count: all
    machines that were off would come at once.
    """
    window = this_or_next(facts.updates.window, facts.now)
    if (
        schedule is not None
        and schedule.version == version
        and (window.begin <= schedule.at <= facts.now or _awaited(schedule, facts))
    ):
        return schedule
    return Schedule(version, random_moment(window, facts.now))


def _awaited(schedule: Schedule, facts: Facts) -> bool:
    """Whether there is nothing to do before the scheduled moment.

    One far ahead was set when the clock was wrong.
    """
    near = facts.now + datetime.timedelta(days=2)
    return facts.now < schedule.at < near and schedule.version != facts.version


def automatic(machine: Machine, source: Source, report: Report) -> bool:
    """Upgrade if it is time; True when the machine has to be restarted.

    Every decision is one line: a reported one, or the UpdateRefusedError that is raised.
    """
    facts = machine.facts()
    refuse_now(facts)
    path = machine.paths.update_schedule
    schedule = read_schedule(path)
    if schedule is not None and _awaited(schedule, facts):
        report(f"{schedule.version} is due at {show_time(schedule.at)}")
        return False
    choice = choose(machine, source, Request())
    version = choice.manifest.version
    if version == facts.version:
        report(f"{version} is the newest version")
        return False
    refuse_unsuitable(choice.manifest, facts, Request())
    refuse_by_itself(choice.manifest, facts)
    schedule = due(schedule, version, facts)
    write_schedule(path, schedule)
    if facts.now < schedule.at:
        report(f"{version} found, due at {show_time(schedule.at)}")
        return False
    window = following(facts.updates.window, this_or_next(facts.updates.window, facts.now))
    write_schedule(path, Schedule(version, random_moment(window, window.begin)))
    prepared = prepare(machine, source, Request(), choice)
    # A slow download must not end in a restart at noon. What it has fetched is kept.
    apply(machine, source, prepared, report, lambda: refuse_outside_window(machine.facts()))
    return True


def read_schedule(path: Path) -> Schedule | None:
    """The schedule, None when there is none or it cannot be read: a new one is made then."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version_key(data["version"])
        at = datetime.datetime.fromisoformat(data["at"])
        usable = data["format"] == FORMAT and at.tzinfo is not None
    except (OSError, ValueError, KeyError, TypeError, ReleaseError):
        return None
    return Schedule(data["version"], at) if usable else None


def write_schedule(path: Path, schedule: Schedule) -> None:
    make_directory(path.parent, mode=0o700)
    data = {"format": FORMAT, "version": schedule.version, "at": schedule.at.isoformat()}
    write_atomic(path, json.dumps(data) + "\n")

"""A check of the backups: whether there is one to rely upon at each of the owner's places."""

from __future__ import annotations

import datetime

from firstboot.base.backuprules import age
from firstboot.base.backups import Entry, Standing, judge, read_backups, sample_failed
from firstboot.checks.machine import Machine
from firstboot.checks.result import Result, State, worst

_WHY = "What is on this disk alone is gone with the disk."


def check_backups(machine: Machine) -> Result:
    """Each target has a backup that is young enough, was checked, and was restored from.

    Only what was noted is looked at: no target is asked. One that cannot be reached is one at which
    the last attempt has failed.
    """
    backup, now = machine.settings.backup, datetime.datetime.now(datetime.UTC)
    if not backup.targets:
        advice = "Choose a place: mailstead menu, Set up backups; docs/backup.md tells which."
        return Result("backups", "warn", "there is no place for backups", _WHY, advice)
    entries = read_backups(machine.paths.backup_history)
    limit = age(backup.warn_after)
    found = [judge(entries, target.name, limit, now) for target in backup.targets]
    state = worst(*(_state(standing, entries) for standing in found))
    measured = "\n".join(f"{standing.target}: {standing.sentence()}" for standing in found)
    if state == "pass":
        return Result("backups", "pass", measured)
    advice = (
        "mailstead backup now tries again; mailstead backup targets --try tells who lets us in."
    )
    return Result("backups", state, measured, _WHY, advice)


def _state(standing: Standing, entries: tuple[Entry, ...]) -> State:
    if standing.state == "old" or sample_failed(entries, standing.target):
        return "fail"
    if standing.state == "none":
        return "fail" if standing.reason else "warn"
    return "pass" if standing.state == "good" and not standing.reason else "warn"

"""The check of the backups: what the notes of attempts come to."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest

from firstboot.base.backups import Entry, note_backup
from firstboot.base.paths import Paths
from firstboot.checks.backups import check_backups
from firstboot.checks.machine import Machine, read_machine
from tests.unit.firstboot.samples import SETTINGS

TARGETS = "backup: {targets: [{name: home, repository: 'disk:BACKUP'}], warn_after: 3d}\n"


def entry(days: float, **given: Any) -> Entry:
    when = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    return replace(Entry("home", "backup", when.isoformat(), checked=True), **given)


def machine(paths: Paths, extra: str) -> Machine:
    paths.settings.write_text(SETTINGS + extra)
    # No engine is asked.
    return read_machine(paths, None)  # type: ignore[arg-type]


def test_without_a_place_there_is_a_warning(paths: Paths) -> None:
    found = check_backups(machine(paths, ""))
    assert (found.state, found.measured) == ("warn", "there is no place for backups")
    assert found.what_to_do


@pytest.mark.parametrize(
    ("entries", "state", "text"),
    [
        ([], "warn", "NONE YET"),
        ([entry(1, reason="no way")], "fail", "no way"),
        ([entry(1)], "warn", "UNVERIFIED"),
        ([entry(1), entry(1, kind="sample")], "pass", "last test restore"),
        ([entry(1), entry(1, kind="sample", reason="x")], "fail", "test restore failed: x"),
        ([entry(4), entry(4, kind="sample")], "fail", "TOO OLD"),
        (
            [entry(1), entry(1, kind="sample"), entry(0, reason="unreachable")],
            "warn",
            "the last attempt FAILED: unreachable",
        ),
    ],
)
def test_how_backups_are_judged(paths: Paths, entries: list[Entry], state: str, text: str) -> None:
    for one in entries:
        note_backup(paths.backup_history, one)
    found = check_backups(machine(paths, TARGETS))
    assert found.state == state
    assert text in found.measured
    assert bool(found.what_to_do) == (state != "pass")

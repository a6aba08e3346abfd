"""Backups by themselves: when they are due, what follows of a failure, and who is told."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from firstboot.backup import automatic as automatic_module
from firstboot.backup.automatic import (
    HOUR,
    automatic,
    later_moment,
    read_schedule,
    standings,
    warn,
    write_schedule,
)
from firstboot.backup.engine import Machine
from firstboot.base.backups import Entry, judge, note_backup, read_backups
from firstboot.base.window import DAY
from tests.unit.firstboot.backup.appliance import NOW, Appliance

LIMIT = datetime.timedelta(days=3)


def entry(days: float, **given: object) -> Entry:
    """An attempt so many days before now."""
    when = (NOW - days * DAY).isoformat()
    return replace(Entry("disk", "backup", when, checked=True), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entries", "state", "text"),
    [
        ([], "none", "NONE YET"),
        ([entry(1, reason="no way")], "none", "NONE YET; no way"),
        ([entry(1)], "unverified", "no test restore so far"),
        ([entry(1), entry(1, kind="sample")], "good", "last test restore 2030-01-01"),
        ([entry(1, checked=False), entry(1, kind="sample")], "unverified", "not checked"),
        ([entry(1), entry(0, kind="sample", reason="x")], "unverified", "test restore failed: x"),
        ([entry(1), entry(20, kind="sample")], "unverified", "too old"),
        ([entry(4), entry(4, kind="sample"), entry(1, reason="full")], "old", "TOO OLD"),
        ([replace(entry(1), target="other")], "none", "NONE YET"),
    ],
)
def test_how_a_target_stands(entries: list[Entry], state: str, text: str) -> None:
    found = judge(entries, "disk", LIMIT, NOW)
    assert found.state == state
    assert text in found.sentence()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made, in place of making it; a reason in `fails` makes backups fail."""
    log: list[str] = []

    def back_up(machine: Machine, targets: object, report: object) -> tuple[Entry, ...]:
        log.append("backup")
        reason = "it failed" if "fails" in log else ""
        found = Entry("disk", "backup", machine.now().isoformat(), reason, checked=True)
        note_backup(machine.paths.backup_history, found)
        return (found,)

    def verify(machine: Machine, *_: object, everything: bool) -> Entry:
        log.append("sample")
        assert not everything
        found = Entry("disk", "sample", machine.now().isoformat())
        note_backup(machine.paths.backup_history, found)
        return found

    monkeypatch.setattr(automatic_module, "back_up", back_up)
    monkeypatch.setattr(automatic_module, "verify", verify)
    return log


def test_a_day_has_one_backup_and_a_week_one_sample(appliance: Appliance, made: list[str]) -> None:
    for _ in range(8 * 24 * 4):
        automatic(appliance.machine(), appliance.said.append)
        appliance.now += HOUR / 4
    assert made.count("backup") == 8
    assert made.count("sample") == 2
    hours = {found.time.hour for found in read_backups(appliance.paths.backup_history)}
    assert hours <= {0, 1, 2}


def test_after_a_failure_it_is_tried_again_an_hour_later(
    appliance: Appliance, made: list[str]
) -> None:
    appliance.now = NOW.replace(hour=0, minute=0)
    made.append("fails")
    for _ in range(12 * 4):
        automatic(appliance.machine(), appliance.said.append)
        appliance.now += HOUR / 4
    assert 9 <= made.count("backup") <= 12
    assert "sample" not in made, "there is nothing to restore"


def test_hourly_is_about_every_hour(appliance: Appliance, made: list[str]) -> None:
    for _ in range(24 * 12):
        automatic(appliance.machine(schedule="hourly"), appliance.said.append)
        appliance.now += HOUR / 12
    assert 20 <= made.count("backup") <= 26


def test_a_late_backup_does_for_the_next_window() -> None:
    late = NOW.replace(hour=22)
    assert later_moment("00:00-02:00", late) - late > DAY


@pytest.mark.parametrize("window", ["00:00-02:00", "23:00-02:00", "04:00-02:00"])
def test_a_backup_at_the_end_of_its_window_does_not_cost_the_next_day(window: str) -> None:
    for minutes in (-1, 0, 14):
        now = NOW.replace(hour=2, minute=0) + datetime.timedelta(minutes=minutes)
        ahead = later_moment(window, now) - now
        assert datetime.timedelta(minutes=90) < ahead <= DAY + 2 * HOUR


def test_off_is_off(appliance: Appliance, made: list[str]) -> None:
    assert not automatic(appliance.machine(schedule="off"), appliance.said.append)
    assert not automatic(appliance.machine(targets=()), appliance.said.append)
    assert made == []
    assert appliance.said == [
        "no backups by themselves: backup.schedule is off",
        "no backups by themselves: the settings name no targets",
    ]


def test_the_owner_is_told_every_few_days(appliance: Appliance, made: list[str]) -> None:
    assert made == []
    note_backup(appliance.paths.backup_history, entry(4))
    path = appliance.paths.backup_schedule
    write_schedule(path, replace(read_schedule(path), since=(NOW - 9 * DAY).isoformat()))
    (line,) = warn(appliance.machine())
    assert line.startswith("backup to disk: TOO OLD")
    assert "TOO OLD" in (appliance.paths.notices / "backup.eml").read_text()
    assert warn(appliance.machine()) == ()
    appliance.now += 4 * DAY
    assert len(warn(appliance.machine())) == 1


def test_a_new_machine_has_some_patience(appliance: Appliance, made: list[str]) -> None:
    automatic(appliance.machine(), appliance.said.append)
    assert warn(appliance.machine()) == ()
    assert [found.state for found in standings(appliance.machine())] == ["none"]
    appliance.now += 4 * DAY
    assert len(warn(appliance.machine())) == 1
    assert made == []

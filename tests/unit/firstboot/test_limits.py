"""Limits on sending: in the settings, and what the owner is told when one was reached."""

from __future__ import annotations

import datetime
import email
import email.policy
import json
import os
from pathlib import Path
from typing import Any

import pytest

from firstboot.alarms import commands
from firstboot.alarms.tell import tell
from firstboot.base.alarms import current_alarms, read_alarm
from firstboot.base.errors import SettingsError
from firstboot.base.paths import Paths
from firstboot.base.settings import dump_settings, parse_settings
from firstboot.checks.machine import read_machine
from firstboot.checks.sending import check_limits
from firstboot.system.console import Console
from tests.unit.firstboot.conftest import Command
from tests.unit.firstboot.samples import SETTINGS

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
HOUR = datetime.timedelta(hours=1)
ALARM: dict[str, Any] = {
    "format": 1,
    "kind": "sending",
    "person": "ada@example.com",
    "limit": "person_hour",
    "most": 200,
    "at": NOW.isoformat(),
    "until": (NOW + HOUR).isoformat(),
}


def limits(text: str) -> str:
    return f"{SETTINGS}limits: {{{text}}}\n"


def test_defaults() -> None:
    found = parse_settings(SETTINGS, "x.yaml").limits
    assert (found.person_hour, found.person_day) == (200, 1000)
    assert (found.machine_hour, found.machine_day) == (600, 3000)


def test_none_is_no_limit_and_stays_so() -> None:
    found = parse_settings(
        limits("machine_hour: none, machine_day: none, person_hour: 5, person_day: 5"), "x"
    )
    assert (found.limits.machine_hour, found.limits.person_day) == ("none", 5)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "person_hour: 0",
            "limits.person_hour: expected a number from 1 to 1000000, or none, got 0",
        ),
        ("person_hour: 1000001", "or none, got 1000001"),
        (
            "person_day: many",
            "limits.person_day: expected a number from 1 to 1000000, or none, got",
        ),
        ("person_day: true", "or none, got true"),
        ("machine_day:", "or none, got nothing"),
        ("machine_day: [1]", "or none, got a list"),
        ("person_week: 1", "unknown key; expected person_"),
        ("person_hour: 601", "expected at most 600, which is limits.machine_hour, got 601"),
        (
            "person_hour: 9, person_day: 8",
            "person_hour: expected at most 8, which is limits.person",
        ),
        (
            "person_day: none",
            "person_day: expected at most 3000, which is limits.machine_day, got n",
        ),
        ("machine_hour: 100", "expected at least 200, which is limits.person_hour, got 100"),
    ],
)
def test_wrong_settings(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(limits(text), "x.yaml")
    (found,) = caught.value.problems
    assert problem in found


def test_canonical_form_says_the_same() -> None:
    settings = parse_settings(limits("person_hour: 20, machine_day: none"), "x.yaml")
    assert parse_settings(dump_settings(settings), "again") == settings


# What a service leaves


def leave(paths: Paths, name: str = "1.new", **other: Any) -> Path:
    paths.alarms.mkdir(parents=True, exist_ok=True)
    file = paths.alarms / f"{name}.json"
    file.write_text(json.dumps({**ALARM, **other}))
    return file


def test_an_alarm_in_words(paths: Paths) -> None:
    found = read_alarm(leave(paths))
    assert found is not None
    assert found.sentence() == (
        "ada@example.com wanted to send to more than 200 recipients within one hour "
        f"(limits.person_hour) and was stopped {NOW:%Y-%m-%d %H:%M} UTC, until {NOW + HOUR:%H:%M}"
    )
    everybody = read_alarm(leave(paths, person="", limit="machine_day"))
    assert everybody is not None
    assert everybody.sentence().startswith("everybody together wanted")
    assert everybody.as_json()["person"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": 2},
        {"kind": "party"},
        {"person": "ada@example.com\nroot"},
        {"person": ["x"]},
        {"limit": "person_week"},
        {"limit": []},
        {"most": "200"},
        {"at": "yesterday"},
        {"until": 5},
        {"more": "x" * 5000},
    ],
    ids=str,
)
def test_what_is_no_alarm_is_not_believed(paths: Paths, wrong: dict[str, Any]) -> None:
    assert read_alarm(leave(paths, **wrong)) is None
    assert current_alarms(paths.alarms) == ()


def test_a_service_that_was_taken_over_shows_no_other_file(paths: Paths, tmp_path: Path) -> None:
    leave(paths)
    (paths.alarms / "2.new.json").symlink_to(paths.alarms / "1.new.json")
    os.mkfifo(paths.alarms / "3.new.json")
    (paths.alarms / "4.new.json").mkdir()
    assert len(current_alarms(paths.alarms)) == 1
    assert current_alarms(tmp_path / "nowhere") == ()


def test_current_is_what_was_within_a_day(paths: Paths) -> None:
    leave(paths, "1.told", at=(NOW - 25 * HOUR).isoformat())
    leave(paths, "2.told", at=(NOW - 2 * HOUR).isoformat())
    leave(paths, "3.new", at=(NOW - 3 * HOUR).isoformat(), person="bob@example.com")
    leave(paths, ".4.new")
    found = current_alarms(paths.alarms)
    assert [alarm.person for alarm in found] == ["bob@example.com", "ada@example.com"]


# Telling


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> list[str]:
    """What the console shows; mail does not work."""
    shown: list[str] = []
    monkeypatch.setattr(Console, "say", lambda _self, line: shown.append(line))
    monkeypatch.setattr("firstboot.alarms.tell.send_notices_or_wait", lambda _paths: None)
    paths.settings.write_text(SETTINGS)
    return shown


def notices(paths: Paths) -> list[Any]:
    files = sorted(paths.notices.glob("*.eml")) if paths.notices.exists() else []
    return [email.message_from_bytes(f.read_bytes(), policy=email.policy.default) for f in files]


def test_each_is_told_once(paths: Paths, lines: list[str]) -> None:
    leave(paths)
    leave(paths, "2.new", person="", limit="machine_hour", most=600)
    leave(paths, "3.new", format=2)
    told = tell(paths, Console(()))
    assert [alarm.person for alarm in told] == ["ada@example.com", ""]
    assert len(lines) == 2
    person, everybody = notices(paths)
    assert person["To"] == "ada@example.com"
    assert person["Subject"] == "[mail.example.com] Sending was stopped for ada@example.com"
    text = person.get_content()
    assert f"until {NOW + HOUR:%Y-%m-%d %H:%M} UTC; others go on sending" in text
    assert "mailstead user password ada@example.com" in text
    assert "limits.person_hour" in text
    assert "600 recipients" in everybody.get_content()
    assert sorted(path.name for path in paths.alarms.iterdir()) == [
        "1.told.json",
        "2.told.json",
        "3.told.json",
    ]
    assert tell(paths, Console(())) == ()
    assert len(notices(paths)) == 2


def test_the_command(
    paths: Paths,
    lines: list[str],
    mailstead: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "Paths", lambda: paths)

    def call(*words: str) -> str:
        code, shown = mailstead("alarms", *words)
        assert code == 0
        return shown

    assert call("list") == "none within 24 hours\n"
    assert call("tell") == ""
    leave(paths)
    assert "limits.person_hour" in call("list")
    told = json.loads(call("tell", "--json"))
    assert told["told"] == json.loads(call("list", "--json"))["alarms"]
    assert told["told"][0]["person"] == "ada@example.com"
    assert len(lines) == 1


def test_the_check(paths: Paths) -> None:
    paths.settings.write_text(SETTINGS)
    # No engine is asked.
    machine = read_machine(paths, None)  # type: ignore[arg-type]
    assert check_limits(machine).state == "pass"
    leave(paths, "1.told")
    found = check_limits(machine)
    assert (found.state, found.why != "", found.what_to_do != "") == ("warn", True, True)
    assert "ada@example.com" in found.measured

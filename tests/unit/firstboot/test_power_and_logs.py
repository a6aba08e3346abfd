"""Restarting, switching off, and what was written down."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firstboot.base.errors import MachineError
from firstboot.base.paths import Paths
from firstboot.logs import commands as logs
from firstboot.power import commands as power
from firstboot.system.maintenance import maintenance
from tests.unit.firstboot.conftest import Command, FakePrograms


@pytest.fixture
def call(
    paths: Paths,
    programs: FakePrograms,
    monkeypatch: pytest.MonkeyPatch,
    mailstead: Command,
) -> Command:
    """Run `mailstead …` where systemctl is a fake: exit code and output."""
    programs.add("systemctl")
    for module in (logs, power):
        monkeypatch.setattr(module, "Paths", lambda: paths)
    return mailstead


@pytest.mark.parametrize(("word", "verb"), [("restart", "reboot"), ("off", "poweroff")])
def test_it_asks_first(call: Command, programs: FakePrograms, word: str, verb: str) -> None:
    assert call("power", word, stdin="n\n")[0] == 130
    assert programs.calls == []
    assert call("power", word, stdin="y\n")[0] == 0
    assert call("power", word, "--yes")[0] == 0
    assert programs.calls == [["systemctl", verb]] * 2


def test_an_upgrade_is_not_cut_off(call: Command, programs: FakePrograms, paths: Paths) -> None:
    with maintenance(paths.maintenance_lock, "an upgrade", MachineError):
        code, out = call("power", "off", "--yes")
    assert code == 8
    assert "an upgrade is under way" in out
    assert programs.calls == []


def entry(message: Any, **fields: str) -> str:
    shown = {"__REALTIME_TIMESTAMP": "1795500000000000", "MESSAGE": message, **fields}
    return json.dumps(shown)


def journal(programs: FakePrograms, *entries: str) -> None:
    """A journalctl that knows these entries."""
    path = programs.directory / "journal"
    path.write_text("".join(f"{line}\n" for line in entries))
    programs.add("journalctl", f"cat {path}")


def test_logs_show_who_said_what_when(call: Command, programs: FakePrograms) -> None:
    journal(
        programs,
        entry("setup done", SYSLOG_IDENTIFIER="mailstead", PRIORITY="6"),
        entry(list(b"caf\xe9 \x1b[2J"), CONTAINER_NAME="mailstead-mta-1", PRIORITY="3"),
        entry(None),
        "no JSON",
    )
    assert call("logs") == (
        0,
        "2026-11-24T06:00:00Z mailstead: setup done\n"
        "2026-11-24T06:00:00Z mailstead-mta-1: caf\N{REPLACEMENT CHARACTER}  [2J\n",
    )
    found = json.loads(call("logs", "--json")[1])["lines"]
    assert [line["priority"] for line in found] == [6, 3]
    assert "--identifier=mailstead" in programs.calls[0]


def test_logs_of_services_and_errors(call: Command, programs: FakePrograms) -> None:
    journal(programs)
    assert call("logs", "mta", "--lines", "7") == (0, "nothing was written down\n")
    assert programs.calls[-1][-2:] == ["--lines=7", "CONTAINER_NAME=mailstead-mta-1"]
    call("logs", "--services")
    assert programs.calls[-1][-2:] == [
        "CONTAINER_NAME=mailstead-redis-1",
        "CONTAINER_NAME=mailstead-mta-1",
    ]
    call("logs", "--errors")
    assert programs.calls[-1][-2:] == ["--priority=3", "--boot"]


def test_wrong_questions_for_logs_are_refused(call: Command, programs: FakePrograms) -> None:
    journal(programs)
    code, out = call("logs", "nothing")
    assert code == 2
    assert "no service is called 'nothing'; there are redis, mta" in out
    assert call("logs", "mta", "--errors")[0] == 2
    assert call("logs", "--lines", "0")[0] == 2
    assert programs.calls == []

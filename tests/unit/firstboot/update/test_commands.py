"""The verbs of `mailstead update`: output, questions, and when the machine is restarted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from firstboot.base.errors import MailsteadError, ReleaseError, UpdateRefusedError
from firstboot.system.maintenance import maintenance
from firstboot.update import commands
from firstboot.update.history import Attempt, write_history
from firstboot.update.machine import Machine, read_machine
from tests.unit.firstboot.samples import SETTINGS
from tests.unit.firstboot.update.conftest import Appliance, serve
from tests.unit.firstboot.update.published import Publisher, contents
from tests.unit.firstboot.webserver import WebServer

RESTART = ["systemctl", "reboot"]


@pytest.fixture
def run(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> Any:
    def machine(_paths: object) -> Machine:
        return appliance.machine

    monkeypatch.setattr(commands, "Paths", lambda: appliance.paths)
    monkeypatch.setattr("firstboot.update.machine.read_machine", machine)

    def call(*arguments: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(commands.update, list(arguments), input=stdin)
        if isinstance(result.exception, MailsteadError):
            raise result.exception
        return result

    return call


@pytest.fixture
def source(appliance: Appliance, web: WebServer, publisher: Publisher) -> WebServer:
    publisher.publish("2.0.0", delta_from=contents("1.0.0"))
    appliance.change(url=serve(web, publisher))
    return web


def restarted(appliance: Appliance) -> bool:
    return RESTART in appliance.programs.calls


def test_check(run: Any, source: WebServer, appliance: Appliance) -> None:
    out = run("check").output
    assert out.startswith("2.0.0 is there (1.0.0 runs)\n")
    assert "MiB to fetch" in out
    assert "What is new in 2.0.0." in out
    offer = json.loads(run("check", "--json").output)
    deltas = [data for name, data in source.files.items() if name.endswith(".delta.zst")]
    assert offer["bytes"] == sum(map(len, deltas))
    assert (offer["available"], offer["refused"], offer["goal"]) == (True, None, "2.0.0")
    appliance.entry("mailstead_1.0.0+1-2.efi")
    offer = json.loads(run("check", "--json").output)
    assert (offer["bytes"], offer["refused"]) == (None, "version 1.0.0 is still on trial")
    assert "not now: version 1.0.0 is still on trial" in run("check").output
    appliance.restart_into("2.0.0")
    assert run("check").output == "2.0.0 is the newest version\n"


def test_apply_asks_first(run: Any, source: WebServer, appliance: Appliance) -> None:
    result = run("apply", stdin="n\n")
    assert result.exit_code == 1
    assert "Go from 1.0.0 to 2.0.0" in result.stderr
    assert appliance.history == ()
    assert not restarted(appliance)
    assert run("apply", stdin="y\n").exit_code == 0
    assert restarted(appliance)
    assert appliance.written("2.0.0")


def test_apply_without_questions(run: Any, source: WebServer, appliance: Appliance) -> None:
    result = run("apply", "--yes", "--no-reboot", "--json")
    assert json.loads(result.stdout) == {"ok": True, "installed": "2.0.0", "goal": "2.0.0"}
    assert not restarted(appliance)
    with pytest.raises(UpdateRefusedError, match="waits for a restart"):
        run("apply", "--yes")
    assert "2.0.0 is tried at the next start" in run("status").output


def test_apply_from_a_file(
    run: Any, appliance: Appliance, publisher: Publisher, tmp_path: Any
) -> None:
    publisher.publish("2.0.0")
    bundle = publisher.bundle("2.0.0", tmp_path / "any name")
    run("apply", "--yes", "--from", str(bundle))
    assert appliance.history[-1].how == "file"
    assert restarted(appliance)


def test_apply_over_a_metered_network(run: Any, source: WebServer, appliance: Appliance) -> None:
    appliance.change(metered=True)
    with pytest.raises(UpdateRefusedError, match="metered"):
        run("apply", "--yes")
    run("apply", "--yes", "--allow-metered")
    assert restarted(appliance)


def test_apply_a_step(run: Any, appliance: Appliance, web: WebServer, publisher: Publisher) -> None:
    publisher.publish("2.0.0")
    publisher.publish("3.0.0", minimum_version="2.0.0")
    appliance.change(url=serve(web, publisher))
    assert "it is a step on the way to 3.0.0" in run("check").output
    result = run("apply", "--yes")
    assert "this is a step on the way to 3.0.0" in result.stderr


def test_apply_without_a_source(run: Any) -> None:
    with pytest.raises(UpdateRefusedError, match=r"have no updates\.url"):
        run("apply", "--yes")


def test_version_that_is_none(run: Any) -> None:
    with pytest.raises(ReleaseError, match="'two' is not a version"):
        run("apply", "two")


@pytest.mark.parametrize("what", ["a backup", "an upgrade"])
@pytest.mark.parametrize("command", ["apply", "rollback"])
def test_something_else_is_under_way(
    *, run: Any, source: WebServer, appliance: Appliance, command: str, what: str
) -> None:
    with (
        maintenance(appliance.paths.maintenance_lock, what, MailsteadError),
        pytest.raises(UpdateRefusedError, match=f"{what} is under way"),
    ):
        run(command, "--yes")


@pytest.mark.parametrize("what", ["a backup", "an upgrade"])
def test_automatic_waits_for_what_is_under_way(
    run: Any, source: WebServer, appliance: Appliance, what: str
) -> None:
    with maintenance(appliance.paths.maintenance_lock, what, MailsteadError):
        result = run("automatic", "--json")
    assert json.loads(result.stdout) == {
        "ok": True,
        "installed": False,
        "decision": f"no upgrade now: {what} is under way",
    }
    assert appliance.entries == ["mailstead_1.0.0.efi"]
    assert source.requests == []


def test_automatic_upgrades_that_are_off(run: Any, source: WebServer, appliance: Appliance) -> None:
    appliance.change(automatic=False)
    result = run("automatic")
    assert result.stderr == "no upgrade now: automatic upgrades are off, says updates.automatic\n"
    assert not restarted(appliance)


def test_automatic_restarts(
    run: Any, source: WebServer, appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "firstboot.update.automatic.random_moment", lambda window, after: max(window.begin, after)
    )
    assert json.loads(run("automatic", "--json").stdout)["installed"] is True
    assert restarted(appliance)


def test_status_and_history(run: Any, appliance: Appliance) -> None:
    assert run("history").output == "there was no upgrade yet\n"
    assert run("status").output == (
        "running    1.0.0 (good)\n"
        "rollback   not possible, there is no other version\n"
        "automatic  off, there is no updates.url in the settings\n"
    )
    failed = Attempt("2.0.0", "1.0.0", "2026-12-01T03:00:00Z", "delta", "failed", "no mail")
    write_history(appliance.paths.update_history, [failed])
    line = "2026-12-01T03:00:00Z  1.0.0 to 2.0.0 (delta): failed, no mail"
    assert run("history").output == f"{line}\n"
    assert json.loads(run("history", "--json").output) == {"attempts": [failed.as_json()]}
    appliance.entry("mailstead_1.0.0+1-2.efi")
    appliance.change(url="https://updates.example.com/", metered=True)
    out = run("status").output
    assert "running    1.0.0 (on trial, 1 tries left)\n" in out
    assert f"last       {line}\n" in out
    assert "failed     2.0.0: no mail\n" in out
    assert "02:00-05:00 UTC, but not over a metered network" in out
    status = json.loads(run("status", "--json").output)
    assert (status["trial"], status["failed"], status["last"]["how"]) == (
        1, {"2.0.0": "no mail"}, "delta",
    )  # fmt: skip
    assert status["updates"]["window"] == "02:00-05:00"


def test_rollback(run: Any, appliance: Appliance) -> None:
    with pytest.raises(UpdateRefusedError, match="no other version"):
        run("rollback", "--yes")
    appliance.slots(other="2.0.0")
    appliance.entry("mailstead_2.0.0.efi")
    appliance.restart_into("2.0.0")
    assert run("rollback", stdin="n\n").exit_code == 1
    assert "mailstead_2.0.0.efi" in appliance.entries
    result = run("rollback", "--yes", "--json")
    assert json.loads(result.stdout) == {"ok": True, "from": "2.0.0", "to": "1.0.0"}
    assert restarted(appliance)


def test_settle(run: Any, appliance: Appliance) -> None:
    assert json.loads(run("settle", "--json").stdout) == {"ok": True, "attempt": None}
    attempt = Attempt("1.0.0", "0.9.0", "2026-12-01T03:00:00Z", "network", "pending")
    write_history(appliance.paths.update_history, [attempt])
    settled = json.loads(run("settle", "--json").stdout)
    assert settled["attempt"]["outcome"] == "good"


def test_machine_as_it_is(appliance: Appliance) -> None:
    machine = read_machine(appliance.paths)
    assert machine.release.version == "1.0.0"
    assert machine.updates.url is None
    appliance.paths.settings.write_text(SETTINGS + "updates: {channel: candidate}\n")
    assert read_machine(appliance.paths).updates.channel == "candidate"
    facts = machine.facts()
    assert (facts.state_format, facts.waiting) == (1, None)
    assert facts.started is not None
    assert facts.now.tzinfo is not None
    appliance.paths.release_keys.unlink()
    with pytest.raises(ReleaseError, match="keys that releases are checked with"):
        machine.trusted(b"{}", "somewhere")


@pytest.mark.parametrize("verb", ["check", "apply", "status", "history", "rollback", "settle"])
def test_help(run: Any, verb: str) -> None:
    assert "--json" in run(verb, "--help").output

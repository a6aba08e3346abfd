"""What a stack remembers, which engine it gets, and what `down` and `status` make of it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from firstboot.base.engine import SOCKET
from firstboot.base.errors import EngineError, StackError
from firstboot.base.services import read_stack
from tests.unit.tools.stack.conftest import FakeEngine, container
from tools.host.errors import PrivilegeError
from tools.stack import commands
from tools.stack.daemon import Daemon
from tools.stack.engines import find_engine, reach_engine
from tools.stack.example import EXAMPLE, example_settings
from tools.stack.health import await_health
from tools.stack.home import Home, Record
from tools.stack.lifecycle import SERVICES, stack_down, stack_up
from tools.stack.ports import LOOPBACK, choose_ports, free_ports
from tools.stack.status import stack_status

ELSEWHERE = "unix:///elsewhere.sock"


def test_record_comes_back(home: Home) -> None:
    record = Record(ELSEWHERE, {"imaps": 1993})
    assert home.read_record() is None
    home.write_record(record)
    assert home.read_record() == record


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "ports": 3}'])
def test_damaged_record(home: Home, text: str) -> None:
    home.write_record(Record(ELSEWHERE))
    (home.folder / "stack.json").write_text(text)
    with pytest.raises(StackError, match=r"stack\.json") as raised:
        home.read_record()
    assert "project" in raised.value.hint


def test_settings_are_the_same_each_time(home: Home) -> None:
    first = example_settings(EXAMPLE, home)
    assert example_settings(EXAMPLE, home) == first
    password = home.password_file("ada@example.com")
    assert password.stat().st_mode & 0o777 == 0o600
    assert len(password.read_text()) >= 32
    assert password.read_text() not in first.people[0].password_hash


def test_lost_hash_is_made_anew_with_its_password(home: Home) -> None:
    first = example_settings(EXAMPLE, home).people[0].password_hash
    home.password_file("ada@example.com.hash").unlink()
    assert example_settings(EXAMPLE, home).people[0].password_hash != first


def test_ports_are_kept_or_free() -> None:
    chosen = choose_ports(["imaps", "smtp", "submission"], {"smtp": 2525, "gone": 1})
    assert chosen["smtp"] == 2525
    assert len(set(chosen.values())) == len(chosen) == 3
    for name in ("imaps", "submission"):
        with socket.socket() as listener:
            listener.bind((LOOPBACK, chosen[name]))


def test_ports_are_none_that_a_connection_may_be_given() -> None:
    """Or a container that restarts could find its own taken."""
    kernel = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    first, last = map(int, kernel.split())
    chosen = free_ports(20)
    assert len(set(chosen)) == 20
    assert [port for port in chosen if first <= port <= last] == []


def test_the_host_s_engine_is_used(daemon: Daemon, engine: FakeEngine) -> None:
    engine.answering.add(SOCKET)
    assert find_engine(None, daemon, print).host == SOCKET
    assert engine.calls == []


def test_without_an_engine_ours_is_started(
    daemon: Daemon, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Daemon, "start", lambda *_: engine.calls.append("start"))
    assert find_engine(None, daemon, print).host == daemon.host
    assert engine.calls == ["ensure", "start"]


def test_an_engine_on_another_machine_is_refused(
    daemon: Daemon, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2376")
    with pytest.raises(EngineError, match=r"tcp://192\.0\.2\.1:2376"):
        find_engine(None, daemon, print)


def test_the_engine_that_has_the_stack_counts(daemon: Daemon, engine: FakeEngine) -> None:
    engine.answering |= {SOCKET, ELSEWHERE}
    assert find_engine(Record(ELSEWHERE), daemon, print).host == ELSEWHERE
    engine.answering.remove(ELSEWHERE)
    with pytest.raises(EngineError, match="does not answer"):
        reach_engine(Record(ELSEWHERE), daemon, print)


def test_down_removes_everything(home: Home, engine: FakeEngine) -> None:
    engine.answering.add(ELSEWHERE)
    home.write_record(Record(ELSEWHERE))
    home.config.mkdir(parents=True)
    home.compose_file.write_text("")
    assert stack_down(print, home=home)
    assert engine.calls == ["down project"]
    assert not home.folder.exists()
    assert not stack_down(print, home=home)


@pytest.mark.parametrize("others", [0, 1])
def test_our_engine_ends_with_its_last_stack(
    home: Home, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    monkeypatch.setattr(Daemon, "running", property(lambda _: True))
    monkeypatch.setattr(Daemon, "stop", lambda _: engine.calls.append("stop"))
    engine.found = [container("mta")] * others
    stack_down(print, home=home)
    assert engine.calls == (["stop"] if not others else [])


def test_status(home: Home, engine: FakeEngine) -> None:
    assert stack_status(home=home).engine is None
    home.write_record(Record(ELSEWHERE, {"imaps": 1993}))
    assert stack_status(home=home).answers is False
    engine.answering.add(ELSEWHERE)
    engine.found = [container("mta"), container("redis", status="exited")]
    found = stack_status(home=home).to_json()
    assert found["ports"] == {"imaps": 1993}
    assert [entry["memory"] for entry in found["containers"]] == [1 << 20, None]
    assert [entry["ailment"] for entry in found["containers"]] == ["no network", "exited"]


def test_who_is_not_healthy_is_named_with_its_words(engine: FakeEngine) -> None:
    engine.found = [container("mta", status="restarting")]
    services = {service.name: service for service in read_stack(SERVICES).services}
    with pytest.raises(
        EngineError, match=r"\(mta: restarting\); mta said last:\n  last words of mta"
    ):
        await_health(engine("x"), "project", [services["mta"]], timeout=0)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="directory: no container"):
        await_health(engine("x"), "project", [services["directory"]], timeout=0)  # type: ignore[arg-type]


def test_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for call, verb in ((lambda: stack_up("ubuntu"), "up"), (stack_down, "down")):
        with pytest.raises(PrivilegeError) as raised:
            call()
        assert raised.value.hint == f"Run: sudo tools/forge stack {verb}"


def test_json_is_one_object_on_stdout(
    tmp_path: Path, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for verb, expected in (("down", {"removed": False}), ("status", None)):
        result = CliRunner().invoke(commands.stack, [verb, "--json"])
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert expected is None or found == expected

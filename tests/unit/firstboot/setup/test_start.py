"""Starting the containers, until a mail has gone round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from firstboot.base import canary
from firstboot.base.engine import Loaded
from firstboot.base.errors import EngineError, RoundTripError, SettingsError, UnreachableError
from firstboot.base.paths import Paths
from firstboot.base.roundtrip import Account, RoundTrip
from firstboot.base.services import Port
from firstboot.setup import start
from firstboot.setup.apply import set_up
from firstboot.system.console import Console
from tests.unit.firstboot.setup.machine import FakeEngine, Volumes, make_seed, progress

DONE = RoundTrip(1000, 0.1, 0.2, 0.3)


@pytest.fixture
def ready(volumes: Volumes, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A machine that has been set up and whose ports answer."""
    set_up(make_seed(), paths)
    monkeypatch.setattr(start, "port_problem", lambda *_arguments, **_options: None)
    monkeypatch.setattr(canary, "round_trip", lambda *_arguments, **_options: DONE)
    monkeypatch.setattr("os.sync", lambda: None)
    return paths


def run_start(paths: Paths, engine: FakeEngine) -> None:
    start.start(paths, Console(()), engine)  # type: ignore[arg-type]


def test_start(ready: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    engine = FakeEngine()
    run_start(ready, engine)
    assert engine.calls == ["load", "up", "mta: postqueue -f", "prune"]
    assert progress(capsys) == [
        "containers loaded (2, 2.1 s)",
        "containers started",
        "a mail went round (0.6 s)",
        "ready mail.example.com",
    ]


def test_start_where_nobody_has_a_mailbox(ready: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    ported = []

    def answers(port: Port, *_arguments: object, **_options: object) -> None:
        ported.append(port.name)

    trips = []

    def forwarded(account: Account, *_arguments: object, **_options: object) -> RoundTrip:
        trips.append(account.address)
        return DONE

    monkeypatch.setattr(start, "port_problem", answers)
    monkeypatch.setattr(canary, "forwarded_round_trip", forwarded)
    text = ready.settings.read_text().partition("people:")[0]
    catching = text.replace("name: example.com", "{name: example.com, catch_all: ada@example.net}")
    ready.settings.write_text(f"{catching}people: []\n")
    services = ready.services.read_text()
    ready.services.write_text(f"{services}    needed_for: mailboxes\n")
    engine = FakeEngine()
    run_start(ready, engine)
    assert engine.started == ("redis",)
    assert ported == []
    assert trips == ["canary@mail.example.com"]


def test_start_loads_images_anew_when_containers_do_not_start(
    ready: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine(up_errors=1)
    run_start(ready, engine)
    assert engine.calls == ["load", "up", "down", "load again", "up", "mta: postqueue -f", "prune"]
    assert "error: input/output error" in progress(capsys)


def test_interrupted_load_is_done_again(ready: Paths) -> None:
    class PowerCutError(Exception):
        pass

    class Interrupted(FakeEngine):
        def load(self, *_arguments: Any, **_options: Any) -> Loaded:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        run_start(ready, Interrupted())
    done = ["up", "mta: postqueue -f", "prune"]
    for calls in (["load again", *done], ["load", *done]):
        engine = FakeEngine()
        run_start(ready, engine)
        assert engine.calls == calls


def test_start_gives_up_after_the_second_failure(ready: Paths) -> None:
    engine = FakeEngine(up_errors=2)
    with pytest.raises(EngineError, match="input/output error"):
        run_start(ready, engine)


def test_start_tells_which_container_is_not_well(
    ready: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "RUNNING_SECONDS", 0.0)
    with pytest.raises(EngineError) as caught:
        run_start(ready, FakeEngine(status="created"))
    assert "(redis: created, mta: created)\nredis says: no" in str(caught.value)


def test_start_tells_which_port_does_not_answer(
    ready: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "PORT_SECONDS", 0.0)
    refuse: Callable[..., str] = lambda *_arguments, **_options: "Connection refused"  # noqa: E731
    monkeypatch.setattr(start, "port_problem", refuse)
    with pytest.raises(EngineError, match=r"port 587 \(submission\) .*: Connection refused"):
        run_start(ready, FakeEngine())


def test_start_is_not_ready_before_a_mail_went_round(
    ready: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts = []

    def fail(account: Account, **_options: float) -> RoundTrip:
        accounts.append(account)
        raise RoundTripError("IMAP on port 993: refused")

    monkeypatch.setattr(canary, "round_trip", fail)
    engine = FakeEngine()
    with pytest.raises(RoundTripError, match="refused"):
        run_start(ready, engine)
    assert [account.address for account in accounts] == ["canary@mail.example.com"]
    assert "prune" not in engine.calls
    assert "ready mail.example.com" not in progress(capsys)


def test_start_tries_again_when_a_server_refuses_at_first(
    ready: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[RoundTrip | None] = [None, DONE]

    def refuse_once(_account: Account, **_options: object) -> RoundTrip:
        if done := answers.pop(0):
            return done
        raise UnreachableError("submission on port 587: timed out")

    monkeypatch.setattr(canary, "round_trip", refuse_once)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    run_start(ready, FakeEngine())
    assert answers == []


def test_start_tells_the_last_refusal_when_its_time_is_over(
    ready: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_account: Account, **_options: object) -> RoundTrip:
        raise UnreachableError("submission on port 587: timed out")

    monkeypatch.setattr(canary, "round_trip", refuse)
    monkeypatch.setattr(start, "MAIL_SECONDS", 0.0)
    with pytest.raises(UnreachableError, match="587: timed out"):
        run_start(ready, FakeEngine())


def test_start_flushes_the_queue_while_it_awaits_the_mail(
    ready: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    flushed: list[int] = []

    def look_three_times(
        _account: Account, *, timeout: float, meanwhile: Callable[[], None]
    ) -> RoundTrip:
        assert timeout == start.MAIL_SECONDS
        for seconds in (0.0, start.FLUSH_SECONDS, 0.0):
            now[0] += seconds
            meanwhile()
            flushed.append(engine.calls.count("mta: postqueue -f"))
        return DONE

    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(canary, "round_trip", look_three_times)
    run_start(ready, engine)
    assert flushed == [0, 1, 1]


def test_start_before_setup(paths: Paths) -> None:
    with pytest.raises(SettingsError) as caught:
        run_start(paths, FakeEngine())
    assert caught.value.hint == "Run first: mailstead boot"

"""The gate of a version on trial: every service answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firstboot.base import health
from firstboot.base.engine import Container
from firstboot.base.errors import EngineError, StackError
from firstboot.base.paths import Paths
from firstboot.base.services import Exchange
from firstboot.setup import gate
from firstboot.system.console import Console
from tests.unit.firstboot.setup.machine import FakeEngine, progress


def run_gate(paths: Paths, engine: FakeEngine) -> None:
    gate.await_healthy(paths, Console(()), engine)  # type: ignore[arg-type]


def test_gate_opens_when_every_service_answers(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is asked at every look, until none has a problem."""
    waits: list[float] = []
    asked: list[int] = []

    def answer(_host: str, exchange: Exchange) -> str | None:
        asked.append(exchange.port)
        return "Connection refused" if asked.count(587) < 3 else None

    monkeypatch.setattr("firstboot.base.waiting.time.sleep", waits.append)
    monkeypatch.setattr(health, "answer_problem", answer)
    run_gate(paths, FakeEngine())
    assert len(waits) >= 2
    assert asked.count(6379) == asked.count(587) == len(waits) + 1
    assert progress(capsys) == ["every container is healthy"]


def test_gate_stays_shut_and_tells_why(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "HEALTHY_SECONDS", 0.0)
    monkeypatch.setattr(health, "answer_problem", lambda _host, _exchange: "it answered b''")
    with pytest.raises(EngineError) as caught:
        run_gate(paths, FakeEngine())
    assert "(redis: port 6379: it answered b'', mta: port 587: it answered b'')" in str(
        caught.value
    )
    assert "mailstead check" in caught.value.hint
    assert progress(capsys) == []


def test_gate_gives_up_a_container_that_ends_again_and_again(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarts = [0, 3, 5, 6]

    class Crashing(FakeEngine):
        def containers(self, project: str) -> tuple[Container, ...]:
            *others, last = super().containers(project)
            return (*others, replace(last, status="restarting", restarts=restarts.pop(0)))

    monkeypatch.setattr("firstboot.base.waiting.time.sleep", lambda _: None)
    monkeypatch.setattr(health, "answer_problem", lambda _host, _exchange: None)
    with pytest.raises(EngineError, match="has ended 5 times"):
        run_gate(paths, Crashing())
    assert restarts == [6]


def test_gate_misses_a_container(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    class OnlyMta(FakeEngine):
        def containers(self, project: str) -> tuple[Container, ...]:
            return super().containers(project)[:1]

    monkeypatch.setattr(gate, "HEALTHY_SECONDS", 0.0)
    monkeypatch.setattr(health, "answer_problem", lambda _host, _exchange: None)
    with pytest.raises(EngineError, match=r"\(redis: no container\)"):
        run_gate(paths, OnlyMta())


def test_gate_does_not_wait_for_docker_that_is_not_there(paths: Paths) -> None:
    class Gone(FakeEngine):
        def containers(self, _project: str) -> tuple[Container, ...]:
            raise EngineError("Docker failed")

    with pytest.raises(EngineError, match="Docker failed"):
        run_gate(paths, Gone())


def test_gate_of_an_image_with_a_defect(paths: Paths) -> None:
    paths.services.write_text("services: {}\n")
    with pytest.raises(StackError):
        run_gate(paths, FakeEngine())

"""A home and a daemon of the test's own, and a Docker engine that only remembers."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firstboot.base.engine import Container
from firstboot.base.errors import EngineError
from tools.stack import daemon as daemon_module
from tools.stack import engines, lifecycle, status
from tools.stack.daemon import Daemon
from tools.stack.home import Home


@dataclass
class FakeEngine:
    """Stands for every Engine: which hosts answer, which containers there are, what was called."""

    answering: set[str] = field(default_factory=set)
    found: list[Container] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    host: str = ""

    def __call__(self, host: str, *, compose: tuple[str, ...] = ()) -> FakeEngine:
        self.host = host
        return self

    @property
    def version(self) -> str:
        if self.host not in self.answering:
            raise EngineError("nobody answers")
        return "20.10"

    def containers(self, project: str | None = None) -> tuple[Container, ...]:
        return tuple(self.found)

    def memory(self, container: Container) -> int:
        return 1 << 20

    def logs(self, container: Container, *, lines: int) -> str:
        return f"last words of {container.service}\n"

    def compose_down(self, compose_file: Path, project: str) -> None:
        self.calls.append(f"down {project}")
        self.found.clear()


def container(service: str, *, status: str = "running") -> Container:
    """A container as the engine shows it."""
    return Container(f"id-{service}", service, "image", "sha256:1", status, "", 0, 0)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", "project")


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path / "docker", tmp_path / "run", tmp_path / "dockerd.log")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    for module in (daemon_module, engines, lifecycle, status):
        monkeypatch.setattr(module, "Engine", fake)
    monkeypatch.setattr(engines, "obtain_compose", lambda **_: ("compose",))
    monkeypatch.setattr(engines, "ensure_for", lambda *_: fake.calls.append("ensure"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return fake

"""What tests of the setup share: where seeds lie, and a machine's engine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.engine import Container, Loaded
from firstboot.base.errors import EngineError
from firstboot.base.release import Release
from firstboot.base.settings import Settings, parse_settings
from firstboot.setup.seed import Seed
from firstboot.system.volumes import ESP_TYPE
from tests.unit.firstboot.samples import SETTINGS

STICK: dict[str, str | None] = {
    "path": "/dev/sda",
    "label": "MAILSTEAD",
    "parttype": None,
    "fstype": "vfat",
    "mountpoint": None,
}
ESP: dict[str, str | None] = {
    "path": "/dev/vda1",
    "label": "ESP",
    "parttype": ESP_TYPE,
    "fstype": "vfat",
    "mountpoint": None,
}


@dataclass
class Volumes:
    """A stick and an ESP whose mailstead.yaml tests write; empty directories at first."""

    stick: Path
    esp: Path
    credentials: Path

    def write(self, *, stick: str = "", esp: str = "", credential: str = "") -> None:
        for path, text in (
            (self.stick / "mailstead.yaml", stick),
            (self.esp / "mailstead.yaml", esp),
            (self.credentials / "mailstead.seed", credential),
        ):
            if text:
                path.write_text(text)


def admit_all(_settings: Settings) -> None:
    """A machine that can live with any settings."""


def named(hostname: str) -> str:
    return SETTINGS.replace("mail.example.com", hostname)


def make_seed(text: str = SETTINGS) -> Seed:
    return Seed("test", text, parse_settings(text, "test"))


def progress(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    return [line.removeprefix("mailstead: ") for line in lines if line.startswith("mailstead: ")]


@dataclass
class FakeEngine:
    """An engine that writes down what it is told; `up_errors` is how often starting fails."""

    up_errors: int = 0
    status: str = "running"
    calls: list[str] = field(default_factory=list)
    started: tuple[str, ...] = ()

    def load(self, archive: Path, release: Release, _say: Any, *, force: bool = False) -> Loaded:
        assert archive.name == "containers.tar"
        self.calls.append("load again" if force else "load")
        references = [image.reference for image in release.images.values()]
        return Loaded(tuple(references), 2.13)

    def compose_up(self, _file: Path, project: str, services: Collection[str]) -> None:
        assert project == "mailstead"
        self.started = tuple(services)
        self.calls.append("up")
        if self.up_errors:
            self.up_errors -= 1
            raise EngineError("input/output error")

    def compose_down(self, _file: Path, _project: str) -> None:
        self.calls.append("down")

    def containers(self, _project: str) -> tuple[Container, ...]:
        return tuple(
            Container("1", name, "", "", self.status, "172.18.0.2", 0, 0)
            for name in ("mta", "redis")
        )

    def logs(self, container: Container) -> str:
        return f"{container.service} says: no"

    def execute(self, container: Container, argv: tuple[str, ...]) -> None:
        self.calls.append(f"{container.service}: {' '.join(argv)}")

    def prune(self, *_releases: Release) -> tuple[str, ...]:
        self.calls.append("prune")
        return ()

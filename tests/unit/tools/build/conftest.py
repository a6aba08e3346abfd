"""A fake mkosi, fake archives, and a cache and a checkout of the test's own."""

from __future__ import annotations

import datetime
import functools
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tools.build import appliance, containers, image, mkosi
from tools.build.base import UBUNTU, Base
from tools.build.mkosi import Workshop
from tools.build.source import CHECKOUT, Source
from tools.host.mkosi import Mkosi
from tools.keys.certificates import Certified, make_certified

_MKOSI = Path(__file__).parent / "programs" / "mkosi.py"


@dataclass(frozen=True)
class FakeMkosi:
    """How to start it, how it was started, and how it behaves next."""

    folder: Path

    @property
    def mkosi(self) -> Mkosi:
        environment = {"FAKE_MKOSI": str(self.folder)}
        # -I -S: it starts a hundred times, and needs none of the environment's packages.
        return Mkosi((sys.executable, "-I", "-S", str(_MKOSI)), "27.1", environment, None, "a fake")

    def behave(self, image: str, how: str) -> None:
        """What it does for the image: `fail`, `interrupt`, or `succeed`."""
        (self.folder / image.replace("/", "-")).write_text(how)

    def calls(self) -> list[list[str]]:
        """Its arguments each time that it was started."""
        log = self.folder / "calls"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def built(self) -> list[str]:
        """The images that it was asked for, by their folders' names; forgets them."""
        directories = [call[call.index("--directory") + 1] for call in self.calls()]
        (self.folder / "calls").unlink(missing_ok=True)
        return [directory.partition("images/")[2] for directory in directories]

    @property
    def tree(self) -> Path:
        """All that was laid over the appliance when it was made last."""
        return self.folder / "tree"

    @property
    def early(self) -> str:
        """What the early stage was made of that the appliance got last: the certificate in it."""
        return (self.folder / "early").read_text()

    def signed(self) -> dict[str, str]:
        """The contents of the keys that the appliance was signed with last, by option."""
        found: dict[str, str] = json.loads((self.folder / "signed").read_text())
        return found


@functools.cache
def _made_once(subject: str) -> Certified:
    """RSA keys take long to make, and no test here minds the same ones again."""
    return make_certified(subject, datetime.datetime(2026, 5, 4, tzinfo=datetime.UTC))


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /dev/shm, and has no room: tests that want some say how much."""
    folder = tmp_path / "shm"
    folder.mkdir()
    monkeypatch.setattr("tools.host.memory.MEMORY", folder)
    monkeypatch.setattr(mkosi, "room_in_memory", lambda: 0)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own cache, not made yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    # Power will not go during a test, and a busy disk can take seconds.
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr("tools.keys.folder.make_certified", lambda subject, _: _made_once(subject))
    return tmp_path / "xdg" / "mailstead"


@pytest.fixture
def fake(tmp_path: Path) -> FakeMkosi:
    folder = tmp_path / "fake"
    folder.mkdir()
    return FakeMkosi(folder)


@pytest.fixture
def workshop(tmp_path: Path, fake: FakeMkosi) -> Workshop:
    """A workshop on Ubuntu whose log is not there yet."""
    return Workshop(
        mkosi=fake.mkosi,
        base=UBUNTU,
        images=tmp_path / "images",
        log=tmp_path / "build.log",
        sources=None,
        tools=None,
    )


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what is shipped, which a test may change, and which builds go by."""
    copy = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("images", "firstboot", "compose"):
        shutil.copytree(CHECKOUT / name, copy / name, symlinks=True, ignore=ignored)
    for name in ("mkosi.conf", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, copy / name)
    monkeypatch.setattr(appliance, "_IMAGES", copy / "images")
    monkeypatch.setattr(appliance, "_FIRSTBOOT", copy / "firstboot")
    monkeypatch.setattr(appliance, "_COMPOSE", copy / "compose")
    monkeypatch.setattr(containers, "_IMAGES", copy / "images/containers")
    monkeypatch.setattr(containers, "_POSTMASTER", copy / "compose/postmaster")
    monkeypatch.setattr(containers, "_LOCK", copy / "compose/postmaster/requirements.txt")
    monkeypatch.setattr(image, "_IMAGES", copy / "images")
    monkeypatch.setattr(image, "CHECKOUT", copy)
    source = Source("0.1.0", "unknown", time=1767225600, content_time=1767225600)
    monkeypatch.setattr(image, "read_source", lambda: source)
    return copy


@pytest.fixture
def host(
    tmp_path: Path, fake: FakeMkosi, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> FakeMkosi:
    """A host that can build `checkout`: with mkosi, keyrings, zstd, and an archive that answers."""
    programs = tmp_path / "bin"
    programs.mkdir()
    zstd = programs / "zstd"
    zstd.write_text('#!/bin/sh\necho packed > "$6"\n')
    zstd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(image, "obtain_mkosi", lambda **_: fake.mkosi)
    monkeypatch.setattr(image, "ensure_ubuntu_keyring", lambda **_: None)
    monkeypatch.setattr(image, "ensure_debian_keyring", lambda **_: None)
    monkeypatch.setattr(image, "image_sources", lambda *_, **__: "Types: deb\n")
    monkeypatch.setattr(image, "require_space", lambda *_: None)
    monkeypatch.setattr("tools.build.base.archive_reachable", lambda *_, **__: True)
    monkeypatch.setattr(containers, "install_dependencies", _install)
    monkeypatch.setattr(containers, "compile_python", lambda *_, **__: None)
    return fake


def _install(lock: Path, base: Base, target: Path) -> None:
    assert lock.is_file()
    (target / "wheel.py").write_text(f"# for Python {base.python}\n")


def options(call: Sequence[str], name: str) -> list[str]:
    """The values of an option in an argument list, in order."""
    return [value for word, value in pairwise(call) if word == name]

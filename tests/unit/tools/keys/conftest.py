"""A cache, a configuration and a memory of the test's own, and passphrases that cost no time."""

from __future__ import annotations

import datetime
import functools
import os
import shutil
from pathlib import Path

import pytest
from cryptography import x509

from tools.host import memory
from tools.keys import certificates, folder, passphrase
from tools.keys.certificates import Certified
from tools.keys.folder import make_folder

NOW = datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.UTC)
PASSPHRASE = b"correct horse battery"


@functools.cache
def made_once(subject: str, created: datetime.datetime) -> Certified:
    """RSA keys take long to make, and no test minds the same ones again."""
    return certificates.make_certified(subject, created)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 128)
    monkeypatch.setattr(passphrase, "PASSES", 1)
    monkeypatch.setattr(folder, "make_certified", made_once)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """XDG folders below a directory of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture(autouse=True)
def shm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /dev/shm; a fake stat(1) says that it is a tmpfs."""
    memory_place, programs = tmp_path / "shm", tmp_path / "programs"
    memory_place.mkdir()
    programs.mkdir()
    monkeypatch.setattr(memory, "MEMORY", memory_place)
    pretend(programs, "tmpfs")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return memory_place


def pretend(programs: Path, kind: str) -> None:
    """Let stat(1) name this kind of file system."""
    (programs / "stat").write_text(f"#!/bin/sh\necho {kind}\n")
    (programs / "stat").chmod(0o755)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A key set without a passphrase."""
    return make_folder(tmp_path / "plain", "release", None, now=NOW).path


@pytest.fixture
def protected(tmp_path: Path) -> Path:
    """A key set with PASSPHRASE."""
    return make_folder(tmp_path / "protected", "release", PASSPHRASE, now=NOW).path


def read_certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def content(path: Path) -> dict[str, bytes]:
    """All files of a folder with their content."""
    return {file.name: file.read_bytes() for file in path.iterdir()}


def copy(path: Path, name: str) -> Path:
    """Another folder with the same files and modes."""
    return Path(shutil.copytree(path, path.with_name(name)))

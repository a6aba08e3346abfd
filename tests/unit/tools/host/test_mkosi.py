"""Which mkosi is used, and how the keyrings come that it wants."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from firstboot.base.run import run
from tests.unit.tools.host.fakes import FakePrograms
from tools.host import compose, mkosi
from tools.host.aptroot import Fetched
from tools.host.errors import ArchiveError


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetched:
    """What the archive gives, whatever is asked for; its mkosi prints its version."""
    tree = tmp_path / "tree"
    module = tree / "usr/lib/python3/dist-packages/mkosi"
    module.mkdir(parents=True)
    (module / "__main__.py").write_text("print('mkosi 27.1')\n")
    package = Fetched("mkosi", "27.1-1", tmp_path / "x_27.1-1_all.deb", tree)
    monkeypatch.setattr(mkosi, "obtain_package", lambda *_, **__: package)
    monkeypatch.setattr(compose, "obtain_package", lambda *_, **__: package)
    return package


@pytest.mark.parametrize("version", ["26", "27.1", "28~devel"])
def test_an_installed_mkosi_that_is_new_enough_is_used(
    programs: FakePrograms, version: str
) -> None:
    programs.add("mkosi", f"echo 'mkosi {version}'")
    found = mkosi.obtain_mkosi()
    assert found.argv == (str(programs.folder / "mkosi"),)
    assert found.version == version
    assert found.python is None


def test_the_python_of_an_installed_mkosi_is_known(programs: FakePrograms) -> None:
    program = programs.folder / "mkosi"
    program.write_text(f"#!{sys.executable}\nprint('mkosi 26')\n")
    program.chmod(0o755)
    assert mkosi.obtain_mkosi().python == sys.executable


@pytest.mark.parametrize("script", ["echo 'mkosi 14'", "exit 1", "echo nonsense"])
def test_an_old_or_broken_mkosi_is_passed_over(
    programs: FakePrograms, fetched: Fetched, script: str
) -> None:
    programs.add("mkosi", script)
    assert mkosi.obtain_mkosi().version == "27.1-1"


def test_a_fetched_mkosi_runs_with_this_python(programs: FakePrograms, fetched: Fetched) -> None:
    if shutil.which("mkosi") is not None:
        programs.add("mkosi", "exit 1")
    found = mkosi.obtain_mkosi()
    result = run([*found.argv, "--version"], env=found.full_environment())
    assert result.stdout == "mkosi 27.1\n"


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ubuntu-archive-keyring.gpg"
    monkeypatch.setattr(mkosi, "UBUNTU_KEYRING", path)
    return path


def test_a_keyring_that_is_there_is_left_alone(keyring: Path, programs: FakePrograms) -> None:
    keyring.touch()
    assert mkosi.ensure_ubuntu_keyring() == keyring
    assert programs.calls() == []


def test_a_keyring_that_the_host_offers_is_installed(
    keyring: Path, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ensure(packages: Mapping[str, str], *_: object) -> None:
        assert list(packages) == ["ubuntu-keyring"]
        keyring.touch()

    programs.add("apt-cache", "echo '  Candidate: 2023.11.28.1-0.2'")
    monkeypatch.setattr(mkosi, "ensure", ensure)
    assert mkosi.ensure_ubuntu_keyring() == keyring


def test_a_keyring_that_the_host_lacks_is_installed_from_a_newer_suite(
    keyring: Path,
    programs: FakePrograms,
    fetched: Fetched,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed: list[Path] = []

    def install(deb: Path, _: str) -> None:
        installed.append(deb)
        keyring.touch()

    programs.add("apt-cache", "echo '  Candidate: (none)'")
    monkeypatch.setattr(mkosi, "install_file", install)
    mkosi.ensure_ubuntu_keyring(report=lambda _: None)
    assert installed == [fetched.deb]


def test_a_package_without_the_keyring_is_told(
    keyring: Path,
    programs: FakePrograms,
    fetched: Fetched,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs.add("apt-cache")
    monkeypatch.setattr(mkosi, "install_file", lambda *_: None)
    with pytest.raises(ArchiveError, match="is missing") as caught:
        mkosi.ensure_ubuntu_keyring(report=lambda _: None)
    assert "--reinstall ubuntu-keyring" in caught.value.hint


COMPOSE_2 = "echo v2.40.3"


def test_dockers_compose_plugin_is_used(programs: FakePrograms) -> None:
    programs.add("docker", COMPOSE_2)
    assert compose.obtain_compose() == ("docker", "compose")
    assert programs.calls() == ["docker compose version --short"]


def test_compose_on_path_is_used_unless_it_is_version_1(
    programs: FakePrograms, fetched: Fetched
) -> None:
    programs.add("docker", "exit 1")
    programs.add("docker-compose", COMPOSE_2)
    assert compose.obtain_compose() == ("docker-compose",)
    programs.add("docker-compose", "echo 1.29.2")
    with pytest.raises(ArchiveError, match="does not run on this host"):
        compose.obtain_compose(report=lambda _: None)


def test_compose_is_fetched_where_there_is_none(programs: FakePrograms, fetched: Fetched) -> None:
    programs.add("docker", "exit 1")
    programs.add("docker-compose", "exit 1")
    program = fetched.tree / "usr/libexec/docker/cli-plugins/docker-compose"
    program.parent.mkdir(parents=True)
    shutil.copy(programs.folder / "docker-compose", program)
    program.write_text(f"#!/bin/sh\n{COMPOSE_2}\n")
    assert compose.obtain_compose(report=lambda _: None) == (str(program),)

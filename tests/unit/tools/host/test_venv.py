"""The virtual environment appears whole or not at all, and tools/forge continues inside it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.tools.host.fakes import FakePrograms
from tools.host import judges, venv
from tools.host.errors import ArchiveError, HostError, SpaceError

FORGE = venv.CHECKOUT / "tools" / "forge"


def _fill(folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)


@pytest.fixture
def path(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environment belongs; making it takes no time."""
    cache.mkdir(parents=True)
    monkeypatch.setattr(venv, "_fill", _fill)
    return venv.venv_path(cache)


def _environments(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if "venv-" in entry.name)


def test_the_key_follows_the_lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = venv.venv_path(tmp_path)
    assert venv.venv_path(tmp_path) == before
    (tmp_path / "lock").write_text("click==1")
    monkeypatch.setattr(venv, "REQUIREMENTS", tmp_path / "lock")
    assert venv.venv_path(tmp_path) != before


def test_it_is_made_once(path: Path) -> None:
    assert not venv.is_complete(path)
    venv.make_venv(path)
    assert venv.is_complete(path)
    target = path.readlink()
    venv.make_venv(path)
    assert path.readlink() == target


def test_a_failure_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        _fill(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(venv, "_fill", fail)
    with pytest.raises(KeyboardInterrupt):
        venv.make_venv(path)
    assert _environments(path.parent) == []


def test_what_a_killed_run_left_is_thrown_away(path: Path) -> None:
    (path.parent / ".venv-half" / "bin").mkdir(parents=True)
    venv.make_venv(path)
    assert _environments(path.parent) == [str(path.readlink()), path.name]


def test_one_whose_python_was_removed_is_made_anew(path: Path) -> None:
    venv.make_venv(path)
    old = path.readlink()
    (path / "bin" / "python").unlink()
    assert not venv.is_complete(path)
    venv.make_venv(path)
    assert venv.is_complete(path)
    assert path.readlink() != old
    assert not (path.parent / old).exists()


def test_old_environments_go(path: Path) -> None:
    others = []
    for age in (3, 1, 2):
        folder = path.parent / f".venv-{age}"
        folder.mkdir()
        os.utime(folder, (1_000_000 - age, 1_000_000 - age))
        link = path.parent / f"venv-3.11.0-{age}"
        link.symlink_to(folder.name)
        others.append(link)
    venv.make_venv(path)
    assert [link.is_symlink() for link in others] == [False, True, True]
    assert not (path.parent / ".venv-3").exists()


def test_a_python_without_ensurepip_gets_its_package(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(venv, "ensure", lambda wanted, _: asked.extend(wanted))
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    venv.make_venv(path)
    assert asked == [f"python3.{sys.version_info[1]}-venv"]
    path.unlink()
    monkeypatch.setattr(sys, "base_prefix", "/opt/python")
    with pytest.raises(HostError, match="/opt/python was built without ensurepip"):
        venv.make_venv(path)


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        ("NewConnectionError: refused", ArchiveError, "cannot be reached"),
        ("No matching distribution found for x", ArchiveError, "cannot be reached, or lacks"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES", ArchiveError, "is not the one that"),
        ("OSError: No space left on device", SpaceError, "no space is left"),
        ("something else", ArchiveError, "could not be installed: something else"),
    ],
)
def test_what_pip_says_is_explained(said: str, kind: type[HostError], told: str) -> None:
    error = venv.pip_error(said)
    assert type(error) is kind
    assert told in error.message
    assert error.hint


def test_forge_continues_inside_the_environment(cache: Path, tmp_path: Path) -> None:
    cache.mkdir(parents=True)
    python = venv.venv_path(cache) / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps([sys.argv, os.environ['PYTHONPATH'], 'PYTHONHOME' in os.environ]))\n"
    )
    python.chmod(0o755)
    result = subprocess.run(
        [sys.executable, FORGE, "boot", "--image", "a b"],
        env={**os.environ, "PYTHONPATH": "/elsewhere"},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    argv, python_path, has_home = json.loads(result.stdout)
    assert argv == [str(python), "-P", "-m", "tools", "boot", "--image", "a b"]
    assert python_path == str(venv.CHECKOUT)
    assert not has_home


def test_forge_tells_errors_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = subprocess.run(
        [sys.executable, FORGE],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == HostError.exit_code
    assert result.stderr.startswith("tools/forge: the cache ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("lock", [venv.REQUIREMENTS, judges.REQUIREMENTS], ids=["tools", "interop"])
def test_the_lock_file_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    locked = {line.split("==")[0] for line in text.splitlines() if "==" in line[:60]}
    wanted = lock.with_suffix(".in").read_text(encoding="utf-8").splitlines()
    rows = (line for line in wanted if line and not line.startswith("#"))
    names = {re.split(r"[<=>~!;\[ ]", line)[0] for line in rows}
    assert {name.lower().replace(".", "-") for name in names} <= locked
    assert text.count("==") <= text.count("--hash=sha256:")


def test_pip_is_held_to_the_hashes(programs: FakePrograms, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    (folder / "bin").mkdir(parents=True)
    programs.add("pip-python")
    (folder / "bin" / "python").symlink_to(programs.folder / "pip-python")
    venv.install_requirements(folder)
    [call] = programs.calls()
    assert "--require-hashes --only-binary=:all:" in call
    assert call.endswith(f"--requirement {venv.REQUIREMENTS}")

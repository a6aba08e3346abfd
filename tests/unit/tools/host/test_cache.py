"""The cache: whole entries or none, one at a time, bounded, and checked for room."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tools.host.cache import (
    UNFINISHED,
    cache_folder,
    cache_root,
    filling,
    lock,
    mark_used,
    prune,
    readable,
    require_space,
)
from tools.host.errors import HostError, SpaceError

CHECKOUT = Path(__file__).parents[4]
HOLD = """
import sys
from tools.host.cache import lock
with lock("x", "doing the other thing"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_relative_cache_home_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "mailstead"


def test_a_cache_that_cannot_be_made_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(HostError, match="cannot be made") as caught:
        cache_folder("x")
    assert "XDG_CACHE_HOME" in caught.value.hint


def test_an_entry_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "entries" / "one"
    with filling(target) as folder:
        (folder / "file").write_text("content")
        assert not target.exists()
    assert (target / "file").read_text() == "content"
    assert [path.name for path in target.parent.iterdir()] == ["one"]


def test_an_entry_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with filling(tmp_path / "one") as folder:
            (folder / "file").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_thrown_away(tmp_path: Path) -> None:
    left = tmp_path / f"{UNFINISHED}abc"
    left.mkdir()
    (left / "half").touch()
    with filling(tmp_path / "one"):
        assert not left.exists()


def test_a_lock_says_who_holds_it_and_waits() -> None:
    lines: list[str] = []
    waiting = threading.Event()
    done = threading.Event()

    def report(line: str) -> None:
        lines.append(line)
        waiting.set()

    def take() -> None:
        with lock("x", "testing", report):
            done.set()

    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        thread = threading.Thread(target=take)
        thread.start()
        assert waiting.wait(timeout=60)
        assert not done.is_set()
        holder.communicate(b"")
        assert done.wait(timeout=60)
        thread.join()
    assert len(lines) == 1
    assert f"process {holder.pid}, doing the other thing" in lines[0]


def test_a_free_lock_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with lock("x", "testing"):
            pass
    assert capsys.readouterr().err == ""


def _entry(folder: Path, name: str, age: int) -> Path:
    entry = folder / name
    entry.mkdir()
    (entry / "data").write_bytes(bytes(range(256)) * 4096)
    os.utime(entry, (1_000_000 - age, 1_000_000 - age))
    return entry


def test_pruning_takes_the_least_recently_used_and_spares_what_is_kept(tmp_path: Path) -> None:
    oldest, older, old, new = (
        _entry(tmp_path, name, age) for name, age in (("a", 4), ("b", 3), ("c", 2), ("d", 1))
    )
    mark_used(older)
    assert prune(tmp_path, keep=[oldest], maximum_bytes=5 << 19) == [old, new]
    assert oldest.exists()
    assert older.exists()


def test_nothing_is_pruned_below_the_bound(tmp_path: Path) -> None:
    _entry(tmp_path, "a", 1)
    assert prune(tmp_path, keep=[], maximum_bytes=1 << 30) == []


def test_too_little_space_is_told_with_numbers(tmp_path: Path) -> None:
    require_space(tmp_path / "not" / "made", 1, "a build")
    with pytest.raises(SpaceError, match=r"a build needs 1048576\.0 GiB free in .*, but there are"):
        require_space(tmp_path / "not" / "made", 1 << 50, "a build")


def test_sizes_for_people() -> None:
    assert [readable(1), readable(5 << 20), readable(3 << 29)] == ["1 MiB", "5 MiB", "1.5 GiB"]

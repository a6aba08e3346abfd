"""Whether there is room in memory, and for how much."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firstboot.base.memory import Memory
from tools.host import memory
from tools.host.errors import HostError
from tools.host.memory import memory_folder, other_file_system, room_in_memory

_GIB = 1 << 30


@pytest.fixture(autouse=True)
def shm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /dev/shm, with 6 GiB free."""
    monkeypatch.setattr(memory, "MEMORY", tmp_path)
    _mount(monkeypatch, flags=0)
    return tmp_path


def _mount(monkeypatch: pytest.MonkeyPatch, *, flags: int) -> None:
    free = os.statvfs_result((4096, 4096, 0, 0, 6 * _GIB // 4096, 0, 0, 0, flags, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: free)


def _have(monkeypatch: pytest.MonkeyPatch, *, kind: str | None, available: int) -> None:
    monkeypatch.setattr(memory, "other_file_system", lambda: kind)
    monkeypatch.setattr(memory, "read_memory", lambda: Memory(64 * _GIB, available))


@pytest.mark.parametrize(
    ("kind", "available", "room"),
    [(None, 20 * _GIB, 6 * _GIB), (None, 2 * _GIB, 2 * _GIB), ("ext2/ext3", 20 * _GIB, 0)],
)
def test_there_is_room_for_what_both_have(
    kind: str | None, available: int, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _have(monkeypatch, kind=kind, available=available)
    assert room_in_memory() == room


def test_programs_have_to_run_there(monkeypatch: pytest.MonkeyPatch) -> None:
    _have(monkeypatch, kind=None, available=20 * _GIB)
    _mount(monkeypatch, flags=os.ST_NOEXEC)
    assert room_in_memory() == 0


def test_what_cannot_be_removed_is_told(shm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(shm / "cache"))
    with pytest.raises(HostError, match="cannot be removed"), memory_folder("test") as folder:
        folder.rmdir()


def test_a_place_that_is_not_there(shm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MEMORY", shm / "missing")
    assert other_file_system() == "not there"
    assert room_in_memory() == 0

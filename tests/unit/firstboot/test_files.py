"""Atomic writing, and waiting with a deadline."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firstboot.base.errors import DeadlineError
from firstboot.base.files import make_directory, write_atomic, write_if_changed
from firstboot.base.waiting import wait_for


def test_writes_content_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "tëxt", mode=0o640)
    assert path.read_bytes() == "tëxt".encode()
    assert path.stat().st_mode & 0o7777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_failure_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(_descriptor: int) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_atomic(path, "new")
    assert path.read_text() == "old"
    write_atomic(path, "newer")
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_disk_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _descriptor: synced.append(path.exists()))
    write_atomic(path, "content")
    assert synced == [False, True]


def test_leftover_of_a_power_cut_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".file.new").write_text("half")
    write_atomic(tmp_path / "file", "whole")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_replaces_a_symlink_instead_of_following_it(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    (tmp_path / "link").symlink_to(target)
    assert write_if_changed(tmp_path / "link", "kept")
    assert target.read_text() == "kept"
    assert not (tmp_path / "link").is_symlink()


def test_unchanged_file_keeps_its_inode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_if_changed(path, "same", mode=0o400)
    inode = path.stat().st_ino
    assert not write_if_changed(path, "same", mode=0o400)
    assert path.stat().st_ino == inode
    assert write_if_changed(path, "same", mode=0o444)
    assert write_if_changed(path, "other", mode=0o444)


def test_directory_gets_its_mode_even_when_it_is_there(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b", mode=0o700)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o7777 == 0o700
    make_directory(tmp_path / "a" / "b", mode=0o711)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o7777 == 0o711


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owner_is_set(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", "", mode=0o400, owner=10001)
    make_directory(tmp_path / "directory", owner=10002)
    assert (tmp_path / "file").stat().st_uid == (tmp_path / "file").stat().st_gid == 10001
    assert (tmp_path / "directory").stat().st_uid == 10002
    assert write_if_changed(tmp_path / "file", "", mode=0o400, owner=10003)


def test_wait_returns_the_first_value() -> None:
    answers = iter([None, False, 0, 7])
    assert wait_for(lambda: next(answers), what="it", timeout=5, interval=0) == 0


def test_wait_asks_less_often_as_time_goes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", sleep)
    wait_for(lambda: now[0] >= 100, what="it", timeout=200, interval=1, slowing=0.1)
    assert slept[:10] == [1] * 10
    assert max(slept) == pytest.approx(0.1 * sum(slept[:-1]))


def test_wait_asks_once_more_at_the_deadline() -> None:
    asked: list[int] = []
    with pytest.raises(DeadlineError, match="it did not happen within 0 s") as caught:
        wait_for(lambda: asked.append(1), what="it", timeout=0, hint="do that")
    assert asked == [1]
    assert caught.value.hint == "do that"

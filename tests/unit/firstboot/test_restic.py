"""restic, the real one, on a repository in a folder: what works, and each way in which it fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import pytest

from firstboot.base.waiting import wait_for
from firstboot.system.restic import Progress, Restic
from firstboot.system.resticerrors import (
    BackupError,
    RepositoryDamagedError,
    RepositoryFullError,
    RepositoryLockedError,
    RepositoryMissingError,
    RepositoryRefusedError,
    WrongPasswordError,
)
from tests.unit.firstboot.repositories import make_repository

HOST, TAG = "mail.example.com", "mailstead"
MARKER = b"a sentence that nobody else may read"
KEEP = {"daily": 1}


@pytest.fixture
def restic(tmp_path: Path) -> Restic:
    """An empty repository."""
    location = tmp_path / "location"
    location.write_text(f"{tmp_path / 'repository'}\n")
    (tmp_path / "temporary").mkdir()
    made = Restic(location, b"a long password", tmp_path / "temporary")
    make_repository(tmp_path / "repository", {"machine": made.password})
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Something to back up; one name is a pattern to those who are careless."""
    made = tmp_path / "folder"
    (made / "sub").mkdir(parents=True)
    (made / "letter").write_bytes(MARKER)
    (made / "sub" / "a[b]*").write_bytes(os.urandom(200_000))
    return made


def packs(restic: Restic) -> list[Path]:
    repository = Path(restic.location.read_text().strip())
    return [path for path in (repository / "data").rglob("*") if path.is_file()]


def test_what_is_backed_up_comes_back(restic: Restic, folder: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    written = restic.backup(folder, host=HOST, tags=[TAG], progress=seen.append)
    assert (written.files, written.bytes) == (2, 200_000 + len(MARKER))
    assert written.bytes_added > 200_000
    assert all(step.bytes_done <= 200_000 + len(MARKER) for step in seen)
    (snapshot,) = restic.snapshots(host=HOST, tag=TAG)
    assert snapshot.id.startswith(written.snapshot[:8])
    assert restic.snapshots(host="other.example.com") == []
    assert restic.list_files(snapshot.id) == {"letter": len(MARKER), "sub/a[b]*": 200_000}
    restic.restore(snapshot.id, tmp_path / "all", verify=True)
    for name in ("letter", "sub/a[b]*"):
        assert (tmp_path / "all" / name).read_bytes() == (folder / name).read_bytes()
    restic.restore(snapshot.id, tmp_path / "one", only=["sub/a[b]*"])
    assert [path.name for path in (tmp_path / "one").rglob("*") if path.is_file()] == ["a[b]*"]
    assert restic.read(snapshot.id, "letter") == MARKER


def test_nothing_readable_is_in_the_repository(
    restic: Restic, folder: Path, tmp_path: Path
) -> None:
    restic.backup(folder, host=HOST)
    files = [path for path in (tmp_path / "repository").rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if MARKER in path.read_bytes()] == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_old_backups_are_let_go_of(restic: Restic, folder: Path) -> None:
    for content in (b"1", b"2", b"3"):
        (folder / "letter").write_bytes(content)
        restic.backup(folder, host=HOST, tags=[TAG])
    restic.backup(folder, host="other.example.com", tags=[TAG])
    restic.forget(KEEP, host=HOST, tag=TAG)
    assert [found.host for found in restic.snapshots()] == [HOST, "other.example.com"]
    (kept,) = restic.snapshots(host=HOST)
    assert restic.read(kept.id, "letter") == b"3"


def test_there_is_no_repository(restic: Restic, tmp_path: Path) -> None:
    restic.location.write_text(f"{tmp_path / 'elsewhere'}\n")
    assert not restic.exists()
    with pytest.raises(RepositoryMissingError):
        restic.snapshots()
    restic.init()
    assert restic.exists()
    assert restic.snapshots() == []


def test_a_wrong_password_is_told(restic: Restic, folder: Path) -> None:
    written = restic.backup(folder, host=HOST)
    wrong = replace(restic, password=b"another")
    with pytest.raises(WrongPasswordError, match="does not open it") as caught:
        wrong.exists()
    assert caught.value.hint
    with pytest.raises(WrongPasswordError):
        wrong.backup(folder, host=HOST)
    assert [found.id[:8] for found in restic.snapshots()] == [written.snapshot[:8]]


def test_a_missing_pack_is_found(restic: Restic, folder: Path) -> None:
    restic.backup(folder, host=HOST)
    restic.check()
    packs(restic)[0].unlink()
    with pytest.raises(RepositoryDamagedError, match="has errors"):
        restic.check()


def test_a_flipped_bit_is_found_by_reading(restic: Restic, folder: Path, tmp_path: Path) -> None:
    written = restic.backup(folder, host=HOST)
    restic.check(read_data="100%")
    pack = max(packs(restic), key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[1000] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    with pytest.raises(RepositoryDamagedError):
        restic.check(read_data="100%")
    with pytest.raises(BackupError):
        restic.restore(written.snapshot, tmp_path / "out")


def test_a_lock_of_somebody_else_is_told_and_a_dead_one_goes(restic: Restic, folder: Path) -> None:
    restic.backup(folder, host=HOST, tags=[TAG])
    locks = Path(restic.location.read_text().strip()) / "locks"
    with (
        _locked(restic, locks),
        pytest.raises(RepositoryLockedError, match="somebody else"),
    ):
        restic.forget(KEEP, host=HOST, tag=TAG)
    restic.forget(KEEP, host=HOST, tag=TAG)
    assert list(locks.iterdir()) == [], "its process is no more"


@contextmanager
def _locked(restic: Restic, locks: Path) -> Iterator[None]:
    """A restic that reads from a pipe, and is killed in the end, which leaves its lock."""
    password = restic.location.with_name("password")
    password.write_bytes(restic.password)
    words = ["--no-cache", "--repository-file", str(restic.location)]
    with subprocess.Popen(
        ["restic", *words, f"--password-file={password}", "backup", "--stdin"], stdin=PIPE
    ) as process:
        try:
            # Written under another name first.
            wait_for(lambda: [*locks.glob("?" * 64)] or None, what="a lock", timeout=300)
            yield
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("said", "code", "error"),
    [
        (
            "Fatal: unable to save snapshot: write /x: no space left on device",
            1,
            RepositoryFullError,
        ),
        ("Fatal: client.BucketExists: Access Denied.", 1, RepositoryRefusedError),
        ("host@x: Permission denied (publickey).", 1, RepositoryRefusedError),
        ("Fatal: nobody knows", 11, RepositoryLockedError),
        ("Fatal: nobody knows", 12, WrongPasswordError),
        ("Fatal: nobody knows", 10, RepositoryMissingError),
        ("Fatal: the line is dead", 1, BackupError),
    ],
)
def test_what_restic_says_becomes_an_error(
    said: str, code: int, error: type[BackupError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "restic"
    fake.write_text(f"#!/bin/sh\ncat >/dev/null\necho '{said}' >&2\nexit {code}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(error) as caught:
        Restic(tmp_path / "location", b"x", tmp_path).backup(tmp_path, host=HOST)
    assert type(caught.value) is error


def test_a_file_that_cannot_be_read_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "restic"
    fake.write_text('#!/bin/sh\ncat >/dev/null\necho "error: open /a: gone" >&2\nexit 3\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(BackupError, match="not all files could be read"):
        Restic(tmp_path / "location", b"x", tmp_path).backup(tmp_path, host=HOST)

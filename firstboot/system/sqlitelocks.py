"""Holding an SQLite database still while it is copied, without opening it: no key is needed.

A database in WAL mode is the file and its log (`-wal`) together; at any instant the two are what a
power cut would leave, which SQLite recovers to the last commit. So a copy is right if the file does
not change while it is read, and no commit is half written when the log is. SQLite's own locks give
that (SQLite's pages "WAL-mode File Format", 2.3, and "File Locking And Concurrency"):

- SHARED on the file, as every connection has it: nobody takes the log or its index away.
- WAL_READ_LOCK(0), as a reader has it that reads the file alone: a checkpoint, the only one who
  writes to the file, needs it exclusively. Writers go on, since they only add to the log. A
  recovery, which the first connection makes, does not need it.
- WAL_WRITE_LOCK, for the moment in which the log is copied: nobody commits.

The locks belong to the open file (F_OFD_SETLK in fcntl(2)) and hold against SQLite's, whatever user
or container it runs in. They end with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from firstboot.base.errors import DeadlineError, MachineError
from firstboot.base.waiting import wait_for

# SQLite's os.h: PENDING_BYTE, SHARED_FIRST, SHARED_SIZE.
_PENDING, _SHARED, _SHARED_BYTES = 0x40000000, 0x40000002, 510
# SQLite's wal.c and os_unix.c: bytes of the index that stand for locks.
_WRITE, _READ_0, _ALIVE = 120, 123, 128
# The versions at 18 and 19 of the file's header are 2 in WAL mode; SQLite3 Multiple Ciphers leaves
# bytes 16 to 23 readable.
_MODE_AT, _WAL_MODE = 18, b"\2\2"
PATIENCE = 20.0  # seconds; SQLite's users of ours wait 10 s for each other


class Held:
    """A database that does not change, while others add to its log."""

    def __init__(self, path: Path, index: int, patience: float) -> None:
        self._path = path
        self._index = index
        self._patience = patience

    @contextlib.contextmanager
    def without_writers(self) -> Iterator[None]:
        """Keep everybody from committing; DeadlineError when one transaction goes on and on."""
        _await(self._index, fcntl.F_WRLCK, _WRITE, self._path, self._patience)
        try:
            yield
        finally:
            _lock(self._index, fcntl.F_UNLCK, _WRITE)

    def copy_log(self, target: Path) -> None:
        """Copy the log, if there is one, while nobody writes (`without_writers`)."""
        log = _beside(self._path, "-wal")
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(log, target)
            if os.geteuid() == 0:
                owner = log.stat()
                os.chown(target, owner.st_uid, owner.st_gid)


@contextlib.contextmanager
def hold(path: Path, *, patience: float = PATIENCE) -> Iterator[Held]:
    """Keep the file at `path` as it is.

    FileNotFoundError when it is gone, DeadlineError when its users do not let us within `patience`
    seconds, also later on, MachineError when it is no database in WAL mode by then.
    """
    main = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            wait_for(
                lambda: _share(main), what=f"access to {path}", timeout=patience, interval=0.02
            )
        except DeadlineError:
            if _is_wal(main):
                raise
            raise MachineError(f"{path} is no database in WAL mode") from None
        index = _open_index(path, main)
        try:
            _join(index, path, patience)
            yield Held(path, index, patience)
        finally:
            os.close(index)
    finally:
        os.close(main)


def _share(main: int) -> bool:
    """Take SHARED as SQLite does, by way of PENDING, so that nobody who waits is starved."""
    if not _lock(main, fcntl.F_RDLCK, _PENDING):
        return False
    shared = _lock(main, fcntl.F_RDLCK, _SHARED, _SHARED_BYTES)
    _lock(main, fcntl.F_UNLCK, _PENDING)
    if shared and not _is_wal(main):
        # One that is just being made: who makes it needs it alone once more.
        _lock(main, fcntl.F_UNLCK, _SHARED, _SHARED_BYTES)
        return False
    return shared


def _is_wal(main: int) -> bool:
    return os.pread(main, len(_WAL_MODE), _MODE_AT) == _WAL_MODE


def _open_index(path: Path, main: int) -> int:
    """Open the log's index, made if nobody has the database open, with the database's owner.

    It cannot be taken away any more: that needs the file exclusively.
    """
    index = _beside(path, "-shm")
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(index, os.O_RDWR | os.O_CLOEXEC)
        _make_index(index, os.fstat(main))


def _make_index(index: Path, owner: os.stat_result) -> None:
    """An empty index, which appears with its owner and mode: its users may not be root."""
    temporary = index.with_name(f".{index.name}.{secrets.token_hex(4)}")
    made = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:
            os.fchown(made, owner.st_uid, owner.st_gid)
        os.fchmod(made, owner.st_mode & 0o777)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, index)
    finally:
        os.close(made)
        temporary.unlink()


def _join(index: int, path: Path, patience: float) -> None:
    """Be one of the connections: the first one empties an index that a crash has left."""

    def join() -> bool:
        if _lock(index, fcntl.F_WRLCK, _ALIVE):
            os.ftruncate(index, 0)
        return _lock(index, fcntl.F_RDLCK, _ALIVE)

    wait_for(join, what=f"access to the log of {path}", timeout=patience, interval=0.02)
    _await(index, fcntl.F_RDLCK, _READ_0, path, patience)


def _await(descriptor: int, kind: int, start: int, path: Path, patience: float) -> None:
    wait_for(
        lambda: _lock(descriptor, kind, start),
        what=f"a pause of those who use {path}",
        timeout=patience,
        interval=0.005,
    )


def _lock(descriptor: int, kind: int, start: int, length: int = 1) -> bool:
    """Set or drop a lock of bytes; False when somebody else has one that forbids it."""
    # struct flock: type, whence, start, length, pid (0 for locks of the open file).
    request = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, request)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)

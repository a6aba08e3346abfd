"""The sealed spool: mail for vaults that are locked, a file a message, in order of arrival.

Below the folder of the spool: `VAULT/NANOSECONDS-RANDOM.sealed`. Each is a seal for the vault
(`crypto/sealing.py`). Its content, version 1:

    0   1   version, 1
    1   8   when it arrived, seconds since 1970, big-endian
    9   1   length of the id, 0 for none
    10      id of the delivery, then the message with its trace fields

A file is whole or not there: it is written and synced under a name that begins with a dot, renamed,
and its folder is synced, before anybody is told that it was accepted.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from postmaster.crypto.sealing import PrivateKey, PublicKey, Purpose, SealError, seal, unseal
from postmaster.errors import StorageFullError, StorageUnavailableError
from postmaster.files import sync_directory, write_synced
from postmaster.storage.interface import Arrival
from postmaster.storage.room import require_room

SUFFIX = ".sealed"
CONTENT_VERSION = 1
MAX_ID = 255

_HEAD = struct.Struct(">BqB")


class Spool:
    """All sealed mail. Methods block; they raise StorageUnavailableError."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which must be there, and remove what a crash left half written."""
        self._folder = folder
        self._latest = 0
        for unfinished in folder.glob(f"*/.*{SUFFIX}"):
            with _errors(unfinished):
                unfinished.unlink(missing_ok=True)

    def add(self, vault: str, public: PublicKey, arrival: Arrival) -> None:
        """Seal a message for a vault; it is on disk on return."""
        folder = self._folder / vault
        with _errors(folder):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
                sync_directory(self._folder)
            blob = _seal(vault, public, arrival)
            require_room(folder, len(blob))
            name = f"{self._next():020d}-{secrets.token_hex(8)}{SUFFIX}"
            temporary = folder / f".{name}"
            try:
                write_synced(temporary, blob)
                temporary.rename(folder / name)
            except OSError:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise
            sync_directory(folder)

    def waiting(self, vault: str) -> Sequence[Path]:
        """Return the files for a vault, oldest first."""
        folder = self._folder / vault
        with _errors(folder):
            return sorted(path for path in folder.glob(f"[!.]*{SUFFIX}"))

    def size(self, vault: str) -> int:
        """Return how many bytes wait for a vault."""
        with _errors(self._folder / vault):
            return sum(path.stat().st_size for path in self.waiting(vault))

    def read(self, file: Path, vault: str, private: PrivateKey) -> Arrival:
        """Open a file. Raises SealError when it is damaged."""
        with _errors(file):
            blob = file.read_bytes()
        return _decode(unseal(private, Purpose.MAIL, vault, blob))

    def remove(self, files: Iterable[Path]) -> None:
        """Remove files that are in the vault now; they are gone from the disk on return."""
        folders = set()
        for file in files:
            with _errors(file):
                file.unlink(missing_ok=True)
            folders.add(file.parent)
        for folder in folders:
            with _errors(folder):
                sync_directory(folder)

    def drop(self, vault: str) -> None:
        """Remove what is left of a vault that is no more: nobody has its key."""
        folder = self._folder / vault
        with _errors(folder):
            for file in folder.glob("*"):
                file.unlink()
            if folder.is_dir():
                folder.rmdir()

    def _next(self) -> int:
        """Return a number that rises, also when the clock is put back while we run."""
        self._latest = max(self._latest + 1, time.time_ns())
        return self._latest


def _seal(vault: str, public: PublicKey, arrival: Arrival) -> bytes:
    try:
        return seal(public, Purpose.MAIL, vault, _encode(arrival))
    except SealError as error:
        raise StorageUnavailableError(f"cannot seal for the vault {vault}: {error}") from error


def _encode(arrival: Arrival) -> bytes:
    identifier = arrival.id or b""
    head = _HEAD.pack(CONTENT_VERSION, int(arrival.at.timestamp()), len(identifier[:MAX_ID]))
    return head + identifier[:MAX_ID] + arrival.raw


def _decode(content: bytes) -> Arrival:
    if len(content) < _HEAD.size or content[0] != CONTENT_VERSION:
        raise SealError("content of an unknown version")
    _, seconds, length = _HEAD.unpack_from(content)
    start = _HEAD.size + length
    identifier = content[_HEAD.size : start] or None
    return Arrival(content[start:], datetime.fromtimestamp(seconds, UTC), identifier)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFullError(f"no room left on the disk of {path}") from error
        raise StorageUnavailableError(f"cannot use {path}: {error.strerror}") from error

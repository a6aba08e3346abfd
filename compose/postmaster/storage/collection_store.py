"""Everybody's calendars and contacts: which files are open, and who may use them how long.

A login opens a file with the key that came with it, for a session of some minutes. The session's
handle is all that `dav` gets; the key stays here, and is wiped with the last session.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from postmaster.crypto import DataKey
from postmaster.errors import DirectoryUnavailableError, StorageUnavailableError
from postmaster.files import sync_directory
from postmaster.logs import event, warn
from postmaster.storage.collection_file import CollectionFile
from postmaster.storage.opened import QuotaOf

logger = logging.getLogger(__name__)
T = TypeVar("T")

# How long a login counts: so long a password that was changed or revoked goes on to work, and so
# long nobody has to compute Argon2id again.
SESSION_SECONDS = 300.0
SUFFIX = ".dav"


class SessionEndedError(Exception):
    """A handle is not, or no longer, that of a session."""


class OpenCollections:
    """A file that is open, with its thread and key; counts its sessions and users."""

    def __init__(self, path: Path, key: DataKey, quota: Callable[[], int | None]) -> None:
        self.path = path
        self.users = 0
        self._key = key
        self._quota = quota
        self._file: CollectionFile | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"dav-{path.name[:8]}")

    @property
    def limit(self) -> int | None:
        """How many bytes the texts may have together, None for as many as the disk takes."""
        return self._quota()

    async def run(self, work: Callable[[CollectionFile], T]) -> T:
        """Run `work` on the file's thread. Raises StorageUnavailableError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(self._opened()))

    async def close(self) -> None:
        """Close the file after the work under way, wipe the key, and end the thread."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._close)
        finally:
            self._key.wipe()
            self._thread.shutdown(wait=False)

    def _opened(self) -> CollectionFile:
        """Open the file at its first use; again when that has failed."""
        if self._file is None:
            made = not self.path.exists()
            self._file = CollectionFile(self.path, self._key)
            if made:
                try:
                    sync_directory(self.path.parent)
                except OSError as error:
                    raise StorageUnavailableError(f"cannot sync {self.path.parent}") from error
                event(logger, "collections-made", vault=self.path.stem)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


@dataclass
class _Session:
    vault: str
    end: asyncio.TimerHandle | None = None


class CollectionStore:
    """One file a vault, in the folder of the vaults."""

    def __init__(
        self,
        directory: Path,
        *,
        quota_of: QuotaOf | None = None,
        session_seconds: float = SESSION_SECONDS,
    ) -> None:
        """`quota_of`: who knows how much a person may keep; None when there are no quotas."""
        self._directory = directory
        self._quota_of = quota_of
        self._seconds = session_seconds
        self._open: dict[str, OpenCollections] = {}
        self._limits: dict[str, int | None] = {}
        self._sessions: dict[str, _Session] = {}  # by the hash of their handle
        self._closing: set[asyncio.Task[None]] = set()

    async def begin(self, address: str, vault: str, key: DataKey) -> str:
        """Begin a session of the person with this main address; return its handle.

        The key is the store's from now on. Raises StorageUnavailableError.
        """
        await self._learn_limit(address, vault)
        collections = self._enter(vault, key)
        handle = secrets.token_hex(32)
        session = _Session(vault)
        collections.users += 1
        try:
            await collections.run(lambda _file: None)
        except StorageUnavailableError as error:
            warn(logger, "collections-unavailable", vault=vault, reason=str(error))
            self._leave(vault)
            raise
        name = _hash(handle)
        self._sessions[name] = session
        loop = asyncio.get_running_loop()
        session.end = loop.call_later(self._seconds, self._end, name)
        return handle

    @asynccontextmanager
    async def use(self, handle: str) -> AsyncIterator[OpenCollections]:
        """Use the file of a session, which stays open meanwhile. Raises SessionEndedError."""
        session = self._sessions.get(_hash(handle))
        if session is None:
            raise SessionEndedError
        collections = self._open[session.vault]
        collections.users += 1
        try:
            yield collections
        except StorageUnavailableError as error:
            warn(logger, "collections-unavailable", vault=session.vault, reason=str(error))
            raise
        finally:
            self._leave(session.vault)

    def has(self, vault: str) -> bool:
        """Say whether there is a file of a vault: who never used a calendar has none."""
        return self._path(vault).exists()

    def end(self, handle: str) -> None:
        """End a session before its time."""
        if _hash(handle) in self._sessions:
            self._end(_hash(handle))

    async def move(
        self, former: str, former_key: DataKey, present: str, present_key: DataKey
    ) -> None:
        """Move what a former vault has into the present one's file, and remove the former file.

        The keys are the store's from now on. Raises StorageUnavailableError.
        """
        path = self._path(former)
        if not await asyncio.to_thread(path.exists):
            former_key.wipe()
            present_key.wipe()
            return
        old, new = self._enter(former, former_key), self._enter(present, present_key)
        for collections in (old, new):
            collections.users += 1
        try:
            everything = await old.run(lambda file: file.everything())
            await new.run(lambda file: file.move_in(former, everything))
        finally:
            self._leave(former)
            self._leave(present)

    def remove(self, vault: str) -> None:
        """Remove the file of a vault whose keys are destroyed. Raises StorageUnavailableError."""
        try:
            for suffix in ("", "-wal", "-shm"):
                path = self._path(vault)
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            sync_directory(self._directory)
        except OSError as error:
            raise StorageUnavailableError(f"cannot remove the collections of {vault}") from error

    async def close(self) -> None:
        """Close everything; for the end of the service."""
        for name in list(self._sessions):
            self._end(name)
        await asyncio.gather(*self._closing)

    async def _learn_limit(self, address: str, vault: str) -> None:
        if self._quota_of is None:
            return
        try:
            self._limits[vault] = await self._quota_of(address)
        except DirectoryUnavailableError as error:  # what it said last counts
            warn(logger, "quota-not-known", person=address, reason=str(error))

    def _enter(self, vault: str, key: DataKey) -> OpenCollections:
        collections = self._open.get(vault)
        if collections is not None:
            key.wipe()
            return collections
        collections = OpenCollections(self._path(vault), key, lambda: self._limits.get(vault))
        self._open[vault] = collections
        return collections

    def _end(self, name: str) -> None:
        session = self._sessions.pop(name)
        if session.end is not None:
            session.end.cancel()
        self._leave(session.vault)

    def _leave(self, vault: str) -> None:
        collections = self._open[vault]
        collections.users -= 1
        if collections.users == 0:
            del self._open[vault]
            self._limits.pop(vault, None)
            task = asyncio.ensure_future(self._shut(vault, collections))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def _shut(self, vault: str, collections: OpenCollections) -> None:
        try:
            await collections.close()
        except StorageUnavailableError as error:
            warn(logger, "collections-close-failed", vault=vault, reason=str(error))
        else:
            event(logger, "collections-locked", vault=vault)

    def _path(self, vault: str) -> Path:
        return self._directory / f"{vault}{SUFFIX}"


def _hash(handle: str) -> str:
    """Handles are looked up by their hash, so that the time it takes tells nothing of them."""
    return hashlib.sha256(handle.encode()).hexdigest()

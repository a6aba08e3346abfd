"""Everybody's vaults: who has one open, on which thread, and who wants to know of changes.

Each open vault has a thread of its own, so one person's slow disk work holds up nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from postmaster.crypto import KeyStore, PersonId, person_id, sync_directory
from postmaster.errors import DirectoryUnavailableError, StorageUnavailableError
from postmaster.logs import event, warn
from postmaster.storage.idle import Idle
from postmaster.storage.interface import Mailbox, OpenMailbox, Quota
from postmaster.storage.vault import Vault

logger = logging.getLogger(__name__)
T = TypeVar("T")

GRACE_SECONDS = 30.0  # how long a vault stays open after its last use
QUOTA_SECONDS = 60.0  # how long a quota counts before the directory is asked again

QuotaOf = Callable[[str], Awaitable[int | None]]
"""Returns the quota of a person in bytes, None for none. Raises DirectoryUnavailableError."""


class _OpenVault:
    """`OpenMailbox`: a vault with its thread; counts its users."""

    def __init__(self, person: PersonId, open_vault: Callable[[], Vault]) -> None:
        self.users = 0
        self.closing: asyncio.TimerHandle | None = None
        self._watchers: set[Callable[[], None]] = set()
        self._modseq = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"vault-{person[:8]}")
        self._opened: asyncio.Future[Vault] = asyncio.ensure_future(self._on_thread(open_vault))
        self._idle = Idle(self._quietly)
        self._quota_until = 0.0

    @property
    def failed(self) -> bool:
        """Say whether the file could not be opened."""
        return self._opened.done() and self._opened.exception() is not None

    async def opened(self) -> None:
        """Wait until the file is open. Raises StorageUnavailableError."""
        vault = await asyncio.shield(self._opened)
        self._modseq = max(self._modseq, vault.modseq)

    async def run(self, work: Callable[[Mailbox], T]) -> T:
        """See `OpenMailbox.run`."""
        vault = await asyncio.shield(self._opened)
        try:
            return await self._on_thread(lambda: work(vault))
        finally:
            if vault.modseq > self._modseq:
                self._modseq = vault.modseq
                for changed in tuple(self._watchers):
                    changed()
            self._idle.touch()

    async def use_quota(self, owner: str, ask: QuotaOf) -> None:
        """Use the quota that the directory names, which is asked once in a while.

        While it does not answer, what it said last counts.
        """
        if self._quota_until > time.monotonic():
            return
        self._quota_until = time.monotonic() + QUOTA_SECONDS
        try:
            quota = Quota(owner, await ask(owner))
        except DirectoryUnavailableError as error:
            warn(logger, "quota-not-known", person=owner, reason=str(error))
            return
        await self._quietly(lambda box: box.set_quota(quota))

    def watch(self, changed: Callable[[], None]) -> None:
        """See `OpenMailbox.watch`."""
        self._watchers.add(changed)

    def unwatch(self, changed: Callable[[], None]) -> None:
        """See `OpenMailbox.unwatch`."""
        self._watchers.discard(changed)

    async def close(self) -> None:
        """Close the file after the work under way, and end the thread."""
        try:
            await asyncio.wait([self._opened])
            await self._idle.stop()
            if not self.failed:
                await self._on_thread(self._opened.result().close)
        finally:
            self._thread.shutdown(wait=False)

    async def _quietly(self, work: Callable[[Mailbox], T]) -> T:
        """Run work that changes nothing that a session would see."""
        vault = await asyncio.shield(self._opened)
        return await self._on_thread(lambda: work(vault))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class VaultStore:
    """`MailStore` with one vault file a person in a directory, keys elsewhere."""

    def __init__(
        self,
        directory: Path,
        keys: KeyStore,
        grace: float = GRACE_SECONDS,
        quota_of: QuotaOf | None = None,
    ) -> None:
        """`grace`: seconds that a vault stays open after its last use.

        `quota_of`: who knows the quotas; None when there are none.
        """
        self._quota_of = quota_of
        self._directory = directory
        self._keys = keys
        self._grace = grace
        self._open: dict[PersonId, _OpenVault] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self, address: str) -> AsyncIterator[OpenMailbox]:
        """See `MailStore.open`. Raises StorageUnavailableError."""
        person = person_id(address)
        vault = self._open.get(person)
        if vault is None:
            vault = _OpenVault(person, lambda: self._open_file(person))
            self._open[person] = vault
        if vault.closing is not None:
            vault.closing.cancel()
            vault.closing = None
        vault.users += 1
        try:
            await vault.opened()
            if self._quota_of is not None:
                await vault.use_quota(address, self._quota_of)
            yield vault
        except StorageUnavailableError as error:
            warn(logger, "vault-unavailable", person=person, reason=str(error))
            raise
        finally:
            vault.users -= 1
            if vault.failed:
                # The next one tries again; who waits for this one already gets its error.
                self._open.pop(person, None)
            if vault.users == 0:
                loop = asyncio.get_running_loop()
                vault.closing = loop.call_later(self._grace, self._let_go, person, vault)

    async def close(self) -> None:
        """Close everything; for the end of the service."""
        for person, vault in list(self._open.items()):
            if vault.closing is not None:
                vault.closing.cancel()
            self._let_go(person, vault)
        await asyncio.gather(*self._closing)

    def _let_go(self, person: PersonId, vault: _OpenVault) -> None:
        if self._open.get(person) is vault:
            del self._open[person]
        task = asyncio.ensure_future(self._close_vault(person, vault))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close_vault(self, person: PersonId, vault: _OpenVault) -> None:
        try:
            await vault.close()
        except StorageUnavailableError as error:
            warn(logger, "vault-close-failed", person=person, reason=str(error))

    def _open_file(self, person: PersonId) -> Vault:
        path = self._directory / f"{person}.vault"
        key = self._keys.load(person)
        made = not path.exists()
        if key is None:
            if not made:
                raise StorageUnavailableError(
                    f"the key of the vault {path} is missing", "restore it from the backup"
                )
            key = self._keys.create(person)
        vault = Vault(path, key)
        if made:
            try:
                sync_directory(self._directory)
            except OSError as error:
                raise StorageUnavailableError(f"cannot sync {self._directory}") from error
            event(logger, "vault-made", person=person)
        return vault

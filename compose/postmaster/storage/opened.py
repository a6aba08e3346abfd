"""A vault that is open: its file, thread and key, its users, and who wants to know of changes.

Each open vault has a thread of its own, so one person's slow disk work holds up nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

from postmaster.crypto import DataKey
from postmaster.crypto.wraps import Scope, scope_key
from postmaster.errors import DirectoryUnavailableError
from postmaster.logs import warn
from postmaster.storage.idle import Idle
from postmaster.storage.interface import Mailbox, Quota
from postmaster.storage.vault import Vault

logger = logging.getLogger(__name__)
T = TypeVar("T")

QUOTA_SECONDS = 60.0  # how long a quota counts before the directory is asked again
DRAIN_PATIENCE = 10.0  # seconds that a login waits for the mail that waited; the rest comes after


QuotaOf = Callable[[str], Awaitable[int | None]]
"""Returns the quota of a person in bytes, None for none. Raises DirectoryUnavailableError."""


class Drain(Protocol):
    """Takes in a batch of what waits (`drain_some`)."""

    def __call__(self, vault: Vault, after: str) -> str | None:
        """Go on after a file; return the last one, None at the end."""


class OpenVault:
    """`OpenMailbox`: a vault with its thread; counts its users."""

    def __init__(
        self,
        name: str,
        key: DataKey,
        open_vault: Callable[[], Vault],
        drain: Drain,
        quota: tuple[str, QuotaOf] | None = None,
    ) -> None:
        """Begin to open the file, then to `drain` the spool, batch by batch (`drain_some`).

        `key` is wiped when the vault is closed. `quota`: whose counts, and who knows it.
        """
        self.name = name
        self.users = 0
        self.closing: asyncio.TimerHandle | None = None
        self._key = key
        self._drain = drain
        self._quota = quota
        self._watchers: set[Callable[[], None]] = set()
        self._modseq = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"vault-{name[:8]}")
        self._opened: asyncio.Future[Vault] = asyncio.ensure_future(self._on_thread(open_vault))
        self._idle = Idle(self._quietly)
        self._quota_until = 0.0
        self._drained: asyncio.Task[None] = asyncio.ensure_future(self._drain_all())

    @property
    def failed(self) -> bool:
        """Say whether the file could not be opened."""
        return self._opened.done() and self._opened.exception() is not None

    def collections_key(self) -> DataKey:
        """Return the key of the person's calendars and contacts, to be wiped."""
        return DataKey(scope_key(self._key, Scope.DAV))

    def copy_key(self) -> DataKey:
        """Return the vault's own key once more, to be wiped."""
        return DataKey(self._key.secret)

    async def opened(self) -> None:
        """Wait until the file is open and, for a while, until what waited is in it.

        Raises StorageUnavailableError.
        """
        vault = await asyncio.shield(self._opened)
        self._modseq = max(self._modseq, vault.modseq)
        await asyncio.wait([self._drained], timeout=DRAIN_PATIENCE)

    async def drain(self) -> None:
        """Take in what was sealed while the vault was being opened."""
        await asyncio.wait([self._drained])
        self._drained = asyncio.ensure_future(self._drain_all())
        await asyncio.wait([self._drained])

    async def run(self, work: Callable[[Mailbox], T]) -> T:
        """See `OpenMailbox.run`."""
        return await self.run_vault(work)

    async def run_vault(self, work: Callable[[Vault], T]) -> T:
        """Run `work`, which does more than a `Mailbox` offers, on the vault's thread."""
        vault = await asyncio.shield(self._opened)
        try:
            return await self._on_thread(lambda: work(vault))
        finally:
            if vault.modseq > self._modseq:
                self._modseq = vault.modseq
                for changed in tuple(self._watchers):
                    changed()
            self._idle.touch()

    async def use_quota(self) -> None:
        """Use the quota that the directory names, which is asked once in a while.

        While it does not answer, what it said last counts.
        """
        if self._quota is None:
            return
        owner, ask = self._quota
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
        """Close the file after the work under way, wipe the key, and end the thread."""
        try:
            await asyncio.wait([self._opened])
            self._drained.cancel()
            await asyncio.wait([self._drained])
            await self._idle.stop()
            if not self.failed:
                await self._on_thread(self._opened.result().close)
        finally:
            self._key.wipe()
            self._thread.shutdown(wait=False)

    async def _drain_all(self) -> None:
        """Drain batch by batch, so that a session that is not waiting gets its turn in between."""
        await asyncio.wait([self._opened])
        if not self.failed:
            await self.use_quota()
        after: str | None = ""
        while after is not None and not self.failed:
            after = await self.run_vault(partial(self._drain, after=after))

    async def _quietly(self, work: Callable[[Mailbox], T]) -> T:
        """Run work that changes nothing that a session would see."""
        vault = await asyncio.shield(self._opened)
        return await self._on_thread(lambda: work(vault))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

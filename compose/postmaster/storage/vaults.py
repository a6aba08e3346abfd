"""Everybody's vaults: which are open, since somebody is logged in, and what is sealed for the rest.

A vault is opened by `unlock`, with the key that came with a login, and closed some time after its
last use; then the key is wiped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from postmaster.crypto import DataKey, KeyStore, PersonId, person_id
from postmaster.crypto.sealing import PrivateKey, private_key
from postmaster.delivery import put
from postmaster.errors import (
    DirectoryUnavailableError,
    StorageUnavailableError,
    VaultLockedError,
)
from postmaster.files import sync_directory
from postmaster.logs import event, warn
from postmaster.query import RecipientVault, Unlock
from postmaster.serving import place
from postmaster.storage.collection_store import CollectionStore
from postmaster.storage.draining import drain_some
from postmaster.storage.interface import Arrival, OverQuotaError
from postmaster.storage.moving import batches
from postmaster.storage.opened import OpenVault, QuotaOf
from postmaster.storage.restoring import Restorer
from postmaster.storage.spool import Spool
from postmaster.storage.vault import Vault

logger = logging.getLogger(__name__)
T = TypeVar("T")

GRACE_SECONDS = 30.0  # how long a vault stays open after its last use


class VaultKeys(Protocol):
    """What the store asks the directory. Raises DirectoryUnavailableError."""

    async def recipient(self, person: str) -> RecipientVault:
        """Return the vault for new mail of the person with this main address."""

    async def moved(self, person: str, vault: str) -> None:
        """Tell that a former vault is empty: its keys are destroyed."""


class VaultStore:
    """`MailStore` with one vault file a person in a directory, and sealed mail in a spool."""

    def __init__(
        self,
        directory: Path,
        spool: Spool,
        keys: VaultKeys,
        key_files: KeyStore,
        *,
        grace: float = GRACE_SECONDS,
        quota_of: QuotaOf | None = None,
        collections: CollectionStore | None = None,
        restorer: Restorer | None = None,
    ) -> None:
        """`key_files`: keys of the first release; a vault with one is opened by it alone.

        `grace`: seconds that a vault stays open after its last use. `quota_of`: who knows the
        quotas; None when there are none. `collections`: where calendars and contacts are, which
        move with the mail of a former vault. `restorer`: who puts back folders out of backups.
        """
        self._restorer = restorer
        self._collections = collections
        self._quota_of = quota_of
        self._directory = directory
        self._spool = spool
        self._keys = keys
        self._key_files = key_files
        self._grace = grace
        self._open: dict[str, OpenVault] = {}
        self._unlocked: dict[str, str] = {}  # address → the vault that it logged in to
        self._closing: set[asyncio.Task[None]] = set()
        self._moving: dict[str, asyncio.Task[None]] = {}
        self._used: dict[str, int] = {}  # bytes in a vault when it was locked

    async def unlock(self, address: str, unlock: Unlock) -> None:
        """Open a person's vault with what a login brought; the keys are the store's from now on.

        Raises StorageUnavailableError.
        """
        vault = self._enter(unlock.vault, unlock.key, address)
        self._unlocked[address] = unlock.vault
        async with self._using(vault):
            for former, key in unlock.former:
                if former in self._moving:
                    key.wipe()
                    continue
                task = asyncio.ensure_future(self._move(address, vault, former, key))
                self._moving[former] = task
                task.add_done_callback(partial(self._moved, former))
        if self._restorer is not None:
            self._restorer.begin(address, partial(self._using, vault), vault)

    @asynccontextmanager
    async def open(self, address: str) -> AsyncIterator[OpenVault]:
        """See `MailStore.open`. Raises StorageUnavailableError."""
        vault = self._open.get(self._unlocked.get(address, ""))
        if vault is None:
            vault = await self._open_by_file(person_id(address), address)
        if vault is None:
            raise VaultLockedError(f"the vault of {address} is locked")
        async with self._using(vault):
            yield vault

    async def deliver(self, address: str, arrival: Arrival) -> bool:
        """See `MailStore.deliver`. Raises StorageUnavailableError, or OverQuotaError."""
        try:
            recipient = await self._keys.recipient(address)
        except DirectoryUnavailableError as error:
            raise StorageUnavailableError(str(error)) from error
        vault = self._open.get(recipient.vault) or await self._open_by_file(
            recipient.vault, address
        )
        if vault is not None:
            async with self._using(vault):
                return await vault.run(lambda box: put(box, arrival))
        await self._require_quota(address, recipient.vault, len(arrival.raw))
        await asyncio.to_thread(self._spool.add, recipient.vault, recipient.public_key, arrival)
        vault = self._open.get(recipient.vault)
        if vault is not None:
            # Somebody logged in while it was being sealed, and may have drained the spool before.
            with contextlib.suppress(StorageUnavailableError):  # it is safe where it is
                async with self._using(vault):
                    await vault.drain()
        return True

    async def _require_quota(self, address: str, name: str, size: int) -> None:
        """Raise OverQuotaError when a message is too much for a vault that is locked.

        Counted is what waits, and what was in it when it was locked, as far as we saw that.
        """
        if self._quota_of is None:
            return
        try:
            limit = await self._quota_of(address)
        except DirectoryUnavailableError as error:
            raise StorageUnavailableError(str(error)) from error
        if limit is None:
            return
        used = self._used.get(name, 0) + await asyncio.to_thread(self._spool.size, name)
        if used + size > limit:
            raise OverQuotaError(for_ever=size > limit)

    async def close(self) -> None:
        """Close everything; for the end of the service."""
        if self._restorer is not None:
            await self._restorer.close()
        for task in tuple(self._moving.values()):
            task.cancel()
        await asyncio.gather(*self._moving.values(), return_exceptions=True)
        for name, vault in list(self._open.items()):
            if vault.closing is not None:
                vault.closing.cancel()
            self._let_go(name, vault)
        await asyncio.gather(*self._closing)

    def _enter(self, name: str, key: DataKey, address: str = "") -> OpenVault:
        """Return the open vault, opening it when it is not; `address`: whose quota counts."""
        vault = self._open.get(name)
        if vault is not None:
            key.wipe()
            return vault
        private = private_key(key)
        vault = OpenVault(
            name,
            key,
            lambda: self._open_file(name, key),
            partial(self._drain, name=name, private=private),
            None if self._quota_of is None or not address else (address, self._quota_of),
        )
        self._open[name] = vault
        return vault

    async def _open_by_file(self, name: str, address: str) -> OpenVault | None:
        """Open a vault whose key still lies in a file."""
        key = await asyncio.to_thread(self._key_files.load, PersonId(name))
        return None if key is None else self._enter(name, key, address)

    @asynccontextmanager
    async def _using(self, vault: OpenVault) -> AsyncIterator[None]:
        """Keep a vault open while the context lasts, and for the grace period after."""
        if vault.closing is not None:
            vault.closing.cancel()
            vault.closing = None
        vault.users += 1
        try:
            await vault.opened()
            await vault.use_quota()
            yield
        except StorageUnavailableError as error:
            warn(logger, "vault-unavailable", vault=vault.name, reason=str(error))
            raise
        finally:
            vault.users -= 1
            if vault.failed and self._open.get(vault.name) is vault:
                # The next one tries again; who waits for this one already gets its error.
                del self._open[vault.name]
            if vault.users == 0:
                loop = asyncio.get_running_loop()
                vault.closing = loop.call_later(self._grace, self._let_go, vault.name, vault)

    async def _shut(self, vault: OpenVault) -> None:
        """Close a vault that nobody uses at once."""
        if vault.closing is not None:
            vault.closing.cancel()
        if self._open.get(vault.name) is vault:
            del self._open[vault.name]
        await vault.close()

    def _let_go(self, name: str, vault: OpenVault) -> None:
        if self._open.get(name) is vault:
            del self._open[name]
            for address, unlocked in list(self._unlocked.items()):
                if unlocked == name:
                    del self._unlocked[address]
        task = asyncio.ensure_future(self._close_vault(name, vault))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close_vault(self, name: str, vault: OpenVault) -> None:
        try:
            if not vault.failed:
                self._used[name] = await vault.run_vault(lambda opened: opened.usage().bytes)
            await vault.close()
        except StorageUnavailableError as error:
            warn(logger, "vault-close-failed", vault=name, reason=str(error))
        else:
            event(logger, "vault-locked", vault=name)

    def _open_file(self, name: str, key: DataKey) -> Vault:
        path = self._directory / f"{name}.vault"
        made = not path.exists()
        vault = Vault(path, self._key_files.load(PersonId(name)) or key)
        if made:
            try:
                sync_directory(self._directory)
            except OSError as error:
                raise StorageUnavailableError(f"cannot sync {self._directory}") from error
            event(logger, "vault-made", vault=name)
        return vault

    def _drain(self, vault: Vault, after: str, *, name: str, private: PrivateKey) -> str | None:
        """Take in a batch of what waits; when that fails, all of it waits for the next time."""
        try:
            return drain_some(vault, self._spool, name, private, after)
        except StorageUnavailableError as error:
            warn(logger, "drain-stopped", vault=name, reason=str(error))
        except Exception as error:
            # Nobody is kept out of the vault by a message that cannot be taken in.
            logger.error(
                "drain-stopped vault=%s kind=%s %s", name, type(error).__name__, place(error)
            )
        return None

    def _moved(self, former: str, _task: asyncio.Task[None]) -> None:
        del self._moving[former]

    async def _move(self, address: str, present: OpenVault, name: str, key: DataKey) -> None:
        """Move a former vault's mail into the present one, then have its keys destroyed."""
        try:
            former = self._enter(name, key)
            async with self._using(present), self._using(former):
                await self._move_all(present, former)
                if self._collections is not None:
                    keys = former.collections_key(), present.collections_key()
                    await self._collections.move(name, keys[0], present.name, keys[1])
            await self._shut(former)
            await self._keys.moved(address, name)
            await asyncio.to_thread(self._remove_files, name)
            await present.run_vault(lambda vault: vault.drop_marks_of(name))
            event(logger, "former-vault-moved", vault=name)
        except (StorageUnavailableError, DirectoryUnavailableError) as error:
            # The next login goes on.
            warn(logger, "former-vault-not-moved", vault=name, reason=str(error))

    async def _move_all(self, present: OpenVault, former: OpenVault) -> None:
        steps = await former.run_vault(lambda vault: batches(vault, former.name))
        while True:
            batch = await former.run_vault(lambda _: next(steps, None))
            if batch is None:
                return
            await present.run_vault(batch)

    def _remove_files(self, name: str) -> None:
        """Remove a vault that is empty and whose keys are destroyed."""
        try:
            for suffix in ("", "-wal", "-shm"):
                (self._directory / f"{name}.vault{suffix}").unlink(missing_ok=True)
            sync_directory(self._directory)
        except OSError as error:
            raise StorageUnavailableError(f"cannot remove the vault {name}") from error
        if self._collections is not None:
            self._collections.remove(name)
        self._spool.drop(name)
        self._key_files.destroy(PersonId(name))

"""How `mailstore` comes by keys: with a login; and those that the first release kept in files.

Before anything else is asked of the directory, every key file is handed to it, so that it makes no
other key for a vault that has one. A file stays until the key has been safe under the person's
password for a while, so that an upgrade can be taken back; see docs/vault.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postmaster.crypto import FileKeyStore, PersonId
from postmaster.errors import DirectoryUnavailableError, StorageUnavailableError
from postmaster.logs import event, warn
from postmaster.query import (
    Adoption,
    DirectoryQueries,
    KeyQueries,
    RecipientVault,
    Verdict,
    VerdictKind,
)
from postmaster.storage.vaults import VaultStore

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 3600.0  # between two looks at the key files that are left


class KeyFiles:
    """The key files that are left, and whether the directory has all of them."""

    def __init__(self, files: FileKeyStore, directory: KeyQueries) -> None:
        self._files = files
        self._directory = directory
        self._handing = asyncio.Lock()
        self._handed = False

    async def ensure(self) -> None:
        """Return when the directory has every key. Raises DirectoryUnavailableError."""
        async with self._handing:
            if not self._handed:
                await self.hand_over()
                self._handed = True

    async def hand_over(self) -> None:
        """Offer each key to the directory, and destroy the files that it says may go."""
        try:
            for person in await asyncio.to_thread(self._files.people):
                await self._offer(person)
        except StorageUnavailableError as error:
            warn(logger, "key-files", reason=str(error))

    async def _offer(self, person: PersonId) -> None:
        try:
            key = await asyncio.to_thread(self._files.load, person)
        except StorageUnavailableError as error:  # this person's trouble, and nobody else's
            warn(logger, "key-file", person=person, reason=str(error))
            return
        if key is None:
            return
        try:
            adoption = await self._directory.adopt(person, key)
        finally:
            key.wipe()
        if adoption is Adoption.DESTROY:
            await asyncio.to_thread(self._files.destroy, person)
            event(logger, "key-file-destroyed", person=person)
        elif adoption is Adoption.UNKNOWN:
            warn(logger, "key-file-not-taken", person=person)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look again from time to time while the context lasts."""
        task = asyncio.ensure_future(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _watch(self) -> None:
        while True:
            try:
                await self.hand_over()
            except DirectoryUnavailableError as error:
                warn(logger, "key-files", reason=str(error))
            await asyncio.sleep(AGAIN_SECONDS)


class HandedOver:
    """`VaultKeys`: the directory, once it has every key file."""

    def __init__(self, key_files: KeyFiles, directory: KeyQueries) -> None:
        self._key_files = key_files
        self._directory = directory

    async def recipient(self, person: str) -> RecipientVault:
        """See `KeyQueries.recipient`."""
        await self._key_files.ensure()
        return await self._directory.recipient(person)

    async def moved(self, person: str, vault: str) -> None:
        """See `KeyQueries.moved`."""
        await self._directory.moved(person, vault)


class KeyedDirectory:
    """`DirectoryQueries` for calendars and contacts: the verdict comes with their key."""

    def __init__(self, directory: DirectoryQueries, key_files: KeyFiles) -> None:
        self._directory = directory
        self._key_files = key_files

    async def authenticate(self, login: str, password: str, address: str, service: str) -> Verdict:
        """See `DirectoryQueries.authenticate`."""
        await self._key_files.ensure()
        return await self._directory.authenticate(login, password, address, service)

    async def resolve(self, address: str) -> str | None:
        """See `DirectoryQueries.resolve`."""
        return await self._directory.resolve(address)


class UnlockingDirectory:
    """`DirectoryQueries` for the protocols: a login that is right opens the vault."""

    def __init__(self, directory: DirectoryQueries, key_files: KeyFiles, store: VaultStore) -> None:
        self._directory = directory
        self._key_files = key_files
        self._store = store

    async def authenticate(self, login: str, password: str, address: str, service: str) -> Verdict:
        """See `DirectoryQueries.authenticate`; the keys stay here.

        Raises StorageUnavailableError, too, when the vault does not open.
        """
        await self._key_files.ensure()
        verdict = await self._directory.authenticate(login, password, address, service)
        if verdict.person is not None and verdict.unlock is not None:
            await self._store.unlock(verdict.person, verdict.unlock)
        elif verdict.kind is VerdictKind.ACCEPTED:
            raise DirectoryUnavailableError("the directory gave no key with its verdict")
        return Verdict(verdict.kind, verdict.person)

    async def resolve(self, address: str) -> str | None:
        """See `DirectoryQueries.resolve`."""
        return await self._directory.resolve(address)

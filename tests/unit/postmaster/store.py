"""A mail store without a directory, which can be opened more than once."""

from __future__ import annotations

from pathlib import Path

from postmaster.crypto import DataKey, FileKeyStore, person_id
from postmaster.crypto.sealing import private_key
from postmaster.errors import DirectoryUnavailableError
from postmaster.query import RecipientVault, Unlock
from postmaster.storage.opened import QuotaOf
from postmaster.storage.restoring import Restorer
from postmaster.storage.spool import Spool
from postmaster.storage.vaults import VaultStore


class FakeDirectory:
    """The directory's side: a vault a person, keys that never change."""

    def __init__(self) -> None:
        self.vaults: dict[str, tuple[str, bytes]] = {}
        self.emptied: list[str] = []
        self.away = False

    def give(self, person: str, vault: str | None = None) -> Unlock:
        """Make somebody's vault the one for new mail; return what a login would bring."""
        name = vault or person_id(person)
        known = self.vaults.get(person)
        secret = known[1] if known and known[0] == name else bytes(DataKey.random().secret)
        self.vaults[person] = (name, secret)
        return Unlock(name, DataKey(secret))

    async def recipient(self, person: str) -> RecipientVault:
        if self.away:
            raise DirectoryUnavailableError("away")
        if person not in self.vaults:
            self.give(person)
        name, secret = self.vaults[person]
        return RecipientVault(name, private_key(DataKey(secret)).public)

    async def moved(self, person: str, vault: str) -> None:
        assert self.vaults[person][0] != vault
        self.emptied.append(vault)


class Place:
    """Folders of a mail store, which may be opened more than once."""

    def __init__(self, folder: Path) -> None:
        self.vaults, self.keys = folder / "vaults", folder / "keys"
        self.spool, self.restored = folder / "spool", folder / "restored"
        for made in (self.vaults, self.keys, self.spool, self.restored):
            made.mkdir(exist_ok=True)
        self.directory = FakeDirectory()

    def store(self, grace: float = 30.0, quota_of: QuotaOf | None = None) -> VaultStore:
        files, spool = FileKeyStore(self.keys), Spool(self.spool)
        return VaultStore(
            self.vaults,
            spool,
            self.directory,
            files,
            grace=grace,
            quota_of=quota_of,
            restorer=Restorer(self.restored),
        )

    def sealed(self, vault: str | None = None) -> list[Path]:
        return sorted(self.spool.glob(f"{vault or '*'}/*.sealed"))

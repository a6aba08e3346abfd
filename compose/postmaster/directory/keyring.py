"""The keys of everybody: wraps made and opened, over the database of the directory.

Every method blocks, for the disk and for Argon2id. Opening a wrap is what shows that a secret is
right.
"""

from __future__ import annotations

from postmaster.crypto import DataKey, person_id
from postmaster.crypto.codes import read_recovery_code
from postmaster.crypto.passwords import Argon2Parameters
from postmaster.crypto.sealing import private_key
from postmaster.crypto.wraps import (
    Owner,
    Scope,
    WrapFormatError,
    WrapKind,
    WrongSecretError,
    expand,
    unwrap,
    wrap,
)
from postmaster.directory.database import DirectoryDatabase, PersonEntry, VaultEntry
from postmaster.errors import AccountError

# Opened by secrets of 256 random bits, which need no costly derivation.
_MACHINES = frozenset({WrapKind.PROVISIONAL, WrapKind.TOKEN})


class Keyring:
    """Makes and opens wraps. Raises StorageUnavailableError."""

    def __init__(
        self, database: DirectoryDatabase, machine_key: bytes, parameters: Argon2Parameters
    ) -> None:
        """`machine_key`: over keys before the first login. `parameters`: of new wraps."""
        self.database = database
        self.parameters = parameters
        self._provisional = expand(machine_key, b"", b"mailstead provisional")

    def entry(self, address: str, token: str | None = None) -> PersonEntry:
        """Return a person's entry, with a new vault when there is none; `token`: the canary's."""
        entry = self.database.person(address)
        if entry is None:
            with self.database.writing():
                entry = self.database.person(address)
                if entry is None:
                    owner = Owner(person_id(address), person_id(address))
                    self.add_first(address, owner, DataKey.random(), token)
                    entry = self.database.person(address)
        if entry is None:
            raise AccountError(f"the vault of {address} was not made")
        return entry

    def add_first(self, address: str, owner: Owner, key: DataKey, token: str | None) -> None:
        """Give a person a first vault, whose key no password is known for yet."""
        if token is None:
            self.add_vault(address, owner, key, WrapKind.PROVISIONAL, self._provisional)
        else:
            self.add_vault(address, owner, key, WrapKind.TOKEN, bytes.fromhex(token))

    def add_vault(
        self, address: str, owner: Owner, key: DataKey, kind: WrapKind, secret: bytes
    ) -> None:
        """Give a person a vault, for new mail from now on."""
        blob = self.wrap(owner, kind, secret, key.secret)
        with self.database.writing():
            self.database.add_vault(address, owner, private_key(key).public)
            self.database.set_wrap(owner, kind, blob)

    def wrap(
        self,
        owner: Owner,
        kind: WrapKind,
        secret: bytes,
        content: bytes | bytearray,
        scopes: Scope = Scope.ALL,
    ) -> bytes:
        """Return a new wrap of `content`."""
        parameters = None if kind in _MACHINES else self.parameters
        return wrap(kind, scopes, owner, secret, content, parameters=parameters)

    def set_password(self, owner: Owner, key: DataKey, password: str) -> None:
        """Put a key under a password, and destroy what it was under before."""
        blob = self.wrap(owner, WrapKind.PASSWORD, password.encode(), key.secret)
        with self.database.writing():
            self.database.set_wrap(owner, WrapKind.PASSWORD, blob)
            self.database.destroy_wrap(owner, WrapKind.PROVISIONAL)
        self.database.forget_log()

    def lock_provisional(self, entry: PersonEntry, password: str) -> bool:
        """Put a key that is under the machine's own under a password; False when it is not."""
        key = self.open_provisional(entry.vault)
        if key is None:
            return False
        owner = entry.vault.owner
        blob = self.wrap(owner, WrapKind.PASSWORD, password.encode(), key.secret)
        key.wipe()
        with self.database.writing():
            now = self.database.person(entry.address)
            # Somebody may have set another password while this one was derived: that one counts.
            if now is None or WrapKind.PROVISIONAL not in now.vault.wraps:
                return False
            self.database.set_wrap(owner, WrapKind.PASSWORD, blob)
            self.database.destroy_wrap(owner, WrapKind.PROVISIONAL)
        self.database.forget_log()
        return True

    def open_provisional(self, vault: VaultEntry) -> DataKey | None:
        """Return the key of a vault whose owner has never logged in."""
        return self.open(vault, WrapKind.PROVISIONAL, self._provisional)

    def open_by_person(self, vault: VaultEntry, secret: str) -> DataKey | None:
        """Return what the vault's password or recovery code opens."""
        code = read_recovery_code(secret)
        if code is not None and WrapKind.RECOVERY in vault.wraps:
            return self.open(vault, WrapKind.RECOVERY, code.encode())
        return self.open(vault, WrapKind.PASSWORD, secret.encode())

    def open(self, vault: VaultEntry, kind: WrapKind, secret: bytes) -> DataKey | None:
        """Return what a secret opens, None when there is no such wrap or it is wrong."""
        blob = vault.wraps.get(kind)
        content = None if blob is None else opened(blob, vault.owner, secret)
        return None if content is None else DataKey(content)


def opened(blob: bytes, owner: Owner, secret: bytes) -> bytes | None:
    """Return the content of a wrap, None when the secret is wrong."""
    try:
        return unwrap(blob, owner, secret)
    except (WrongSecretError, WrapFormatError):
        return None

"""Data keys: one for each vault, in memory as briefly as can be, and what a cipher needs of them.

`FileKeyStore` is how the first release kept them: in files beside the vaults. Such files are read
for as long as there are any, see docs/vault.md.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NewType, Protocol

from postmaster.errors import StorageUnavailableError
from postmaster.files import sync_directory

PersonId = NewType("PersonId", str)
"""Stable name of a person on disk: 32 lower-case hexadecimal digits."""

KEY_BYTES = 32
KEY_FILE_HEADER = "mailstead-key 1"


@dataclass(frozen=True)
class DataKey:
    """The key of one vault; never printed. `wipe` it when it is no longer needed.

    The bytes are copied into memory of this object's own, which is what `wipe` overwrites.
    """

    secret: bytearray = field(repr=False)

    def __init__(self, secret: bytes | bytearray) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a data key has {KEY_BYTES} bytes, not {len(secret)}")
        object.__setattr__(self, "secret", bytearray(secret))

    @classmethod
    def random(cls) -> DataKey:
        """Return a new one from the system's generator."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @property
    def wiped(self) -> bool:
        """Say whether it was wiped and is of no more use."""
        return not self.secret

    def wipe(self) -> None:
        """Overwrite the bytes, and make every later use an error."""
        for index in range(len(self.secret)):
            self.secret[index] = 0
        del self.secret[:]


class KeyStore(Protocol):
    """Where data keys are kept. Calls block on the disk; make them off the event loop."""

    def load(self, person: PersonId) -> DataKey | None:
        """Return the person's key, None when there is none.

        Raises StorageUnavailableError when there is one that cannot be read.
        """

    def destroy(self, person: PersonId) -> None:
        """Destroy the person's key; its name is gone from the disk on return."""


def person_id(address: str) -> PersonId:
    """Return the name on disk for a person's normalised main address."""
    return PersonId(hashlib.sha256(address.encode()).hexdigest()[:32])


def cipher_pragmas(key: DataKey) -> tuple[str, ...]:
    """Return the statements that key an SQLite3MC connection, to run before any other.

    ChaCha20-Poly1305 per page, the default kind of SQLite3 Multiple Ciphers (its documentation,
    "sqleet: ChaCha20"). `raw:` says that the key is no passphrase, so that no PBKDF2 is run.
    """
    if key.wiped:
        raise ValueError("the data key was wiped")
    return ("PRAGMA cipher = 'chacha20'", f"PRAGMA key = 'raw:{key.secret.hex()}'")


class FileKeyStore:
    """One file of mode 0600 per key in a directory of its own; nothing makes new ones.

    Format, version 1: the line `mailstead-key 1 <64 hexadecimal digits>`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, person: PersonId) -> DataKey | None:
        """See `KeyStore.load`."""
        path = self._path(person)
        try:
            text = path.read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StorageUnavailableError(f"cannot read the key file {path}: {error}") from error
        header, _, digits = text.rstrip("\n").rpartition(" ")
        try:
            if header != KEY_FILE_HEADER:
                raise ValueError
            return DataKey(bytes.fromhex(digits))
        except ValueError:
            raise StorageUnavailableError(
                f"the key file {path} is damaged", "restore it from the backup"
            ) from None

    def people(self) -> Sequence[PersonId]:
        """Return whose keys there are."""
        try:
            names = [path.stem for path in self._directory.glob("[!.]*.key")]
        except OSError as error:
            raise StorageUnavailableError(f"cannot read {self._directory}: {error}") from error
        return [PersonId(name) for name in sorted(names)]

    def destroy(self, person: PersonId) -> None:
        """See `KeyStore.destroy`; the bytes are overwritten in place first."""
        path = self._path(person)
        try:
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            sync_directory(self._directory)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageUnavailableError(f"cannot destroy {path}: {error}") from error

    def _path(self, person: PersonId) -> Path:
        return self._directory / f"{person}.key"

"""The only module that knows cryptography: data keys, their keeping, passwords, ciphers.

What `FileKeyStore` protects, and what not: each person's vault is encrypted with a random
256-bit key of its own, and that key lies in a file beside the vaults, on the same state
partition. So a copy of the vault files alone (a backup of that one folder, a stray file)
reveals nothing, and destroying one key file destroys one person's mail and nobody else's. It
does *not* protect against whoever can read the key folder: an administrator of the running
machine, or somebody with the disk unless the state partition itself is encrypted. Wrapping the
key under the person's password is another implementation of `KeyStore` and changes no caller.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import NewType, Protocol

from cryptography.exceptions import InvalidKey, UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from postmaster.errors import StorageUnavailableError

PersonId = NewType("PersonId", str)
"""Stable name of a person on disk: 32 lower-case hexadecimal digits."""

_PHC = re.compile(
    r"\$argon2id\$v=19\$m=\d{1,7},t=\d{1,3},p=\d{1,2}\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{16,}"
)
KEY_BYTES = 32
KEY_FILE_HEADER = "mailstead-key 1"

# A hash that no password matches: the same work is done for people who do not exist. The cost
# is the one that `mailstead` uses for new passwords (64 MiB, 3 passes).
UNKNOWN_PERSON_HASH = (
    "$argon2id$v=19$m=65536,t=3,p=1"
    "$bWFpbHN0ZWFkLW5vYm9keQ$ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8"
)


@dataclass(frozen=True)
class DataKey:
    """The key of one vault; never printed."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"a data key has {KEY_BYTES} bytes, not {len(self.secret)}")


class KeyStore(Protocol):
    """Where data keys are kept. Calls block on the disk; make them off the event loop."""

    def load(self, person: PersonId) -> DataKey | None:
        """Return the person's key, None when there is none.

        Raises StorageUnavailableError when there is one that cannot be read.
        """

    def create(self, person: PersonId) -> DataKey:
        """Make a new random key, have it safe on disk, and return it; an old one stays."""


def person_id(address: str) -> PersonId:
    """Return the name on disk for a person's normalised main address."""
    return PersonId(hashlib.sha256(address.encode()).hexdigest()[:32])


def cipher_pragmas(key: DataKey) -> tuple[str, ...]:
    """Return the statements that key an SQLite3MC connection, to run before any other.

    ChaCha20-Poly1305 per page, the default kind of SQLite3 Multiple Ciphers (its documentation,
    "sqleet: ChaCha20"). `raw:` says that the key is no passphrase, so that no PBKDF2 is run.
    """
    return ("PRAGMA cipher = 'chacha20'", f"PRAGMA key = 'raw:{key.secret.hex()}'")


def is_password_hash(phc: str) -> bool:
    """Say whether this is an Argon2id hash in PHC form that `verify_password` can check."""
    return _PHC.fullmatch(phc) is not None


def verify_password(phc: str, password: str) -> bool:
    """Say whether `password` belongs to an Argon2id hash in PHC form; False for a bad hash.

    Takes the time and memory that the hash asks for, and releases the interpreter meanwhile.
    """
    try:
        Argon2id.verify_phc_encoded(password.encode(), phc)
    except (InvalidKey, UnsupportedAlgorithm, ValueError):
        return False
    return True


def same_token(expected: str, given: str) -> bool:
    """Compare two high-entropy tokens without telling by time where they differ."""
    return hmac.compare_digest(expected.encode(), given.encode())


class FileKeyStore:
    """One file of mode 0600 per key in a directory of its own; never overwritten.

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

    def create(self, person: PersonId) -> DataKey:
        """See `KeyStore.create`; the key is on disk, with its directory entry, on return."""
        key = DataKey(secrets.token_bytes(KEY_BYTES))
        path = self._path(person)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            _write_synced(temporary, f"{KEY_FILE_HEADER} {key.secret.hex()}\n".encode())
            try:
                # Unlike rename(2), link(2) refuses to replace a key that appeared meanwhile.
                path.hardlink_to(temporary)
            except FileExistsError:
                existing = self.load(person)
                if existing is None:
                    raise
                key = existing
            finally:
                temporary.unlink()
            sync_directory(self._directory)
        except OSError as error:
            raise StorageUnavailableError(f"cannot make the key file {path}: {error}") from error
        return key

    def _path(self, person: PersonId) -> Path:
        return self._directory / f"{person}.key"


def _write_synced(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def sync_directory(directory: Path) -> None:
    """Have the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

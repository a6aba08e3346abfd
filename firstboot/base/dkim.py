"""The keys that a domain's mail is signed with (DKIM), made once and kept in the state.

Whoever renders the stack and whoever shows the records makes those that are missing: the keys that
sign and the records that are published are always the same ones.
"""

from __future__ import annotations

import base64
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from firstboot.base.errors import StackError
from firstboot.base.files import make_directory, write_atomic

# RFC 8301, 3.2: signers use at least 2048 bits; longer ones do not fit everywhere.
RSA_BITS = 2048

Algorithm = Literal["rsa", "ed25519"]
PrivateKey: TypeAlias = "rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey"
# A key that replaces one of these takes another selector, so that mail on its way stays verifiable.
SELECTORS: dict[Algorithm, str] = {"rsa": "mailstead-rsa1", "ed25519": "mailstead-ed1"}


@dataclass(frozen=True)
class DkimKey:
    """The public half of a key of a domain; `public` is in base64, as in its record's p=."""

    domain: str
    selector: str
    algorithm: Algorithm
    public: str

    @property
    def text(self) -> str:
        """The TXT record (RFC 6376, 3.6.1; RFC 8463)."""
        return f"v=DKIM1; k={self.algorithm}; p={self.public}"


def ensure_keys(folder: Path, domains: tuple[str, ...]) -> tuple[DkimKey, ...]:
    """The keys of the domains, one for each algorithm; those that are missing are made.

    A key is `folder`/DOMAIN/SELECTOR.pem, PKCS #8, mode 0600. Raises StackError when one cannot be
    read or written: it is never replaced, since a public half of it may be in the DNS.
    """
    try:
        make_directory(folder, mode=0o700)
        with _alone(folder):
            return tuple(
                _ensure_key(folder, domain, algorithm)
                for domain in domains
                for algorithm in SELECTORS
            )
    except OSError as error:
        raise StackError(
            f"the DKIM keys in {folder} cannot be read: {error.strerror}",
            "Run this command as root.",
        ) from None


def signing_key(folder: Path, key: DkimKey) -> bytes:
    """The private half as Rspamd takes it: RSA in PEM, Ed25519 as its seed in base64."""
    private = _read_key(_path(folder, key.domain, key.algorithm))
    if isinstance(private, rsa.RSAPrivateKey):
        return _pem(private)
    return base64.b64encode(private.private_bytes_raw())


def _path(folder: Path, domain: str, algorithm: Algorithm) -> Path:
    return folder / domain / f"{SELECTORS[algorithm]}.pem"


def _ensure_key(folder: Path, domain: str, algorithm: Algorithm) -> DkimKey:
    path = _path(folder, domain, algorithm)
    if not path.exists():
        make_directory(path.parent, mode=0o700)
        write_atomic(path, _pem(_MAKERS[algorithm]()), mode=0o600)
    return DkimKey(domain, SELECTORS[algorithm], algorithm, _public(_read_key(path)))


def _read_key(path: Path) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, (rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey)):
        raise StackError(
            f"the DKIM key {path} is damaged",
            "Restore it from a backup, or delete it and publish the record of the new one.",
        )
    return key


_MAKERS: dict[Algorithm, Callable[[], PrivateKey]] = {
    "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


def _pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public(key: PrivateKey) -> str:
    """RSA as SubjectPublicKeyInfo, Ed25519 as its 32 bytes alone (RFC 8463, 4)."""
    if isinstance(key, rsa.RSAPrivateKey):
        data = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    else:
        data = key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
    return base64.b64encode(data).decode("ascii")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let nobody else make keys meanwhile: one of two would show a key that is not kept."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

"""Wraps: a key encrypted under something that a person knows, so that opening it is the check.

Format, version 1 (numbers big-endian; docs/vault.md has the same table):

    0   1   version, 1
    1   1   kind (`WrapKind`)
    2   1   scopes (`Scope`), bits
    3   1   derivation: 1 Argon2id, 2 HKDF-SHA-256
    4   4   Argon2id: memory in KiB         (HKDF: 0)
    8   4   Argon2id: passes                (HKDF: 0)
    12  4   Argon2id: lanes                 (HKDF: 0)
    16  16  salt
    32  12  nonce
    44      ChaCha20-Poly1305 of the content, then its tag of 16 bytes

The associated data is `mailstead wrap`, a zero byte, bytes 0 to 32, the person's id and the
vault's id (32 hexadecimal digits each). So a wrap opens for its own person, vault, kind and scopes
only, whatever is changed around it.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from postmaster.crypto.keys import KEY_BYTES, DataKey, PersonId
from postmaster.crypto.passwords import SALT_BYTES, Argon2Parameters

WRAP_VERSION = 1
NONCE_BYTES = 12
TAG_BYTES = 16

_HEADER = struct.Struct(">BBBBIII16s")
_LABEL = b"mailstead wrap\0"
_ARGON2ID, _HKDF = 1, 2


class WrapKind(IntEnum):
    """What opens a wrap."""

    PASSWORD = 1
    APP_PASSWORD = 2
    RECOVERY = 3
    PROVISIONAL = 4  # the directory's own key, before the first login
    TOKEN = 5  # 256 random bits: the canary's password


class Scope(IntFlag):
    """What a login may be used for."""

    MAIL = 1
    DAV = 2
    SEND = 4
    ALL = 7


@dataclass(frozen=True)
class Owner:
    """Whose wrap it is, and of which vault's key."""

    person: PersonId
    vault: str  # 32 hexadecimal digits


class WrongSecretError(Exception):
    """The secret does not open the wrap, or the wrap is of somebody else, or was changed."""


class WrapFormatError(Exception):
    """These bytes are no wrap that this program knows."""


def wrap(
    kind: WrapKind,
    scopes: Scope,
    owner: Owner,
    secret: bytes,
    content: bytes | bytearray,
    *,
    parameters: Argon2Parameters | None,
) -> bytes:
    """Encrypt `content` under `secret`; without `parameters` the secret must be 256 random bits."""
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    if parameters is None:
        costs, derivation = (0, 0, 0), _HKDF
    else:
        costs, derivation = (parameters.memory, parameters.passes, parameters.lanes), _ARGON2ID
    header = _HEADER.pack(WRAP_VERSION, kind, scopes, derivation, *costs, salt)
    key = _derive(parameters, secret, salt)
    sealed = ChaCha20Poly1305(key).encrypt(nonce, bytes(content), _associated(header, owner))
    return header + nonce + sealed


def unwrap(blob: bytes, owner: Owner, secret: bytes) -> bytes:
    """Return the content. Raises WrongSecretError, or WrapFormatError."""
    if len(blob) < _HEADER.size + NONCE_BYTES + TAG_BYTES:
        raise WrapFormatError("too short")
    header, nonce = blob[: _HEADER.size], blob[_HEADER.size : _HEADER.size + NONCE_BYTES]
    version, _kind, _scopes, derivation, *costs, salt = _HEADER.unpack(header)
    if version != WRAP_VERSION:
        raise WrapFormatError(f"version {version}")
    try:
        parameters = _parameters(derivation, *costs)
    except ValueError as error:
        raise WrapFormatError(str(error)) from None
    key = _derive(parameters, secret, salt)
    try:
        sealed = blob[_HEADER.size + NONCE_BYTES :]
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, _associated(header, owner))
    except InvalidTag:
        raise WrongSecretError from None


def scope_key(key: DataKey, scopes: Scope) -> bytes:
    """Return what a wrap for `scopes` holds: no more than these need.

    Mail needs the data key itself. Calendars and contacts alone get a key that is derived from
    it, which opens no mail. Sending needs none: the wrap is empty, and opening it is the check.
    """
    if Scope.MAIL in scopes:
        return bytes(key.secret)
    if Scope.DAV in scopes:
        return expand(bytes(key.secret), b"", b"mailstead scope dav")
    return b""


def expand(secret: bytes, salt: bytes, info: bytes, length: int = KEY_BYTES) -> bytes:
    """Return `length` bytes derived from a secret of full strength (HKDF-SHA-256, RFC 5869)."""
    return HKDF(hashes.SHA256(), length, salt or None, info).derive(secret)


def _parameters(derivation: int, memory: int, passes: int, lanes: int) -> Argon2Parameters | None:
    if derivation == _ARGON2ID:
        return Argon2Parameters(memory, passes, lanes)
    if derivation != _HKDF:
        raise ValueError(f"derivation {derivation}")
    return None


def _derive(parameters: Argon2Parameters | None, secret: bytes, salt: bytes) -> bytes:
    if parameters is None:
        return expand(secret, salt, b"mailstead wrap 1")
    return parameters.derive(secret, salt)


def _associated(header: bytes, owner: Owner) -> bytes:
    return _LABEL + header + owner.person.encode() + owner.vault.encode()

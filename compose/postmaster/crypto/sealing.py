"""Sealing: what is encrypted to a vault by somebody who cannot read it, such as mail for later.

X25519 and ML-KEM-768 (FIPS 203) together, so that it stays closed as long as one of them holds.
The key pair of a vault is derived from its data key, so it cannot be lost apart from that, and
whoever has the data key, and nobody else, can open what was sealed.

Format, version 1:

    0     7     `MSTSEAL`
    7     1     version, 1
    8     1     purpose (`Purpose`)
    9     16    the vault's id
    25    16    random id of this sealing
    41    32    one-time X25519 public key
    73    1088  ML-KEM-768 ciphertext
    1161        ChaCha20-Poly1305 of the content, then its tag of 16 bytes

The key is HKDF-SHA-256 of (ML-KEM's secret ‖ X25519's secret), without salt, its info
`mailstead seal 1`, the recipient's public key and bytes 0 to 1161. It is used once, so the nonce is
zero. The associated data is bytes 0 to 1161.

A public key is a version byte, 1, the X25519 key (32 bytes) and the ML-KEM-768 key (1184).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from postmaster.crypto.keys import DataKey
from postmaster.crypto.wraps import expand

MAGIC = b"MSTSEAL"
SEAL_VERSION = 1
PUBLIC_KEY_VERSION = 1
ID_BYTES = 16
X25519_BYTES = 32
KEM_CIPHERTEXT_BYTES = 1088
KEM_PUBLIC_BYTES = 1184
KEM_SEED_BYTES = 64

_KEM_AT = len(MAGIC) + 2 + 2 * ID_BYTES + X25519_BYTES
HEADER_BYTES = _KEM_AT + KEM_CIPHERTEXT_BYTES
_NONCE = bytes(12)


class Purpose(IntEnum):
    """What was sealed: one cannot be passed off as the other."""

    MAIL = 1
    FORMER_KEY = 2  # the data key of a vault that was replaced


class SealError(Exception):
    """These bytes were not sealed for this vault, were changed, or are of an unknown format."""


@dataclass(frozen=True)
class PublicKey:
    """What mail for a vault is sealed with."""

    x25519: bytes
    kem: bytes = field(repr=False)

    def encode(self) -> bytes:
        """Return the version byte and both keys."""
        return bytes([PUBLIC_KEY_VERSION]) + self.x25519 + self.kem

    @classmethod
    def decode(cls, data: bytes) -> PublicKey:
        """Undo `encode`. Raises SealError."""
        if len(data) != 1 + X25519_BYTES + KEM_PUBLIC_BYTES or data[0] != PUBLIC_KEY_VERSION:
            raise SealError("no public key of a known version")
        return cls(data[1 : 1 + X25519_BYTES], data[1 + X25519_BYTES :])


@dataclass(frozen=True)
class PrivateKey:
    """The private half, as long as the vault is open."""

    x25519: X25519PrivateKey = field(repr=False)
    kem: MLKEM768PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(
            self.x25519.public_key().public_bytes_raw(), self.kem.public_key().public_bytes_raw()
        )


def private_key(key: DataKey) -> PrivateKey:
    """Return the key pair that belongs to a data key: the same each time."""
    secret = bytes(key.secret)
    x25519 = expand(secret, b"", b"mailstead seal 1 x25519")
    seed = expand(secret, b"", b"mailstead seal 1 ml-kem-768", KEM_SEED_BYTES)
    return PrivateKey(
        X25519PrivateKey.from_private_bytes(x25519), MLKEM768PrivateKey.from_seed_bytes(seed)
    )


def seal(public: PublicKey, purpose: Purpose, vault: str, content: bytes) -> bytes:
    """Encrypt `content` so that only the vault with this public key opens it."""
    try:
        kem_secret, kem_ciphertext = MLKEM768PublicKey.from_public_bytes(public.kem).encapsulate()
        one_time = X25519PrivateKey.generate()
        secret = one_time.exchange(X25519PublicKey.from_public_bytes(public.x25519))
    except ValueError as error:
        raise SealError(f"the public key is unusable: {error}") from None
    header = b"".join(
        (
            MAGIC,
            bytes([SEAL_VERSION, purpose]),
            bytes.fromhex(vault),
            secrets.token_bytes(ID_BYTES),
            one_time.public_key().public_bytes_raw(),
            kem_ciphertext,
        )
    )
    key = _key(kem_secret + secret, public, header)
    return header + ChaCha20Poly1305(key).encrypt(_NONCE, content, header)


def unseal(private: PrivateKey, purpose: Purpose, vault: str, blob: bytes) -> bytes:
    """Return what was sealed. Raises SealError."""
    header = blob[:HEADER_BYTES]
    start = MAGIC + bytes([SEAL_VERSION, purpose]) + bytes.fromhex(vault)
    if len(header) < HEADER_BYTES or not header.startswith(start):
        raise SealError("not sealed for this vault, or of an unknown version")
    one_time, kem_ciphertext = header[_KEM_AT - X25519_BYTES : _KEM_AT], header[_KEM_AT:]
    try:
        kem_secret = private.kem.decapsulate(kem_ciphertext)
        secret = private.x25519.exchange(X25519PublicKey.from_public_bytes(one_time))
        key = _key(kem_secret + secret, private.public, header)
        return ChaCha20Poly1305(key).decrypt(_NONCE, blob[HEADER_BYTES:], header)
    except (InvalidTag, ValueError):
        raise SealError("damaged, or sealed for another key") from None


def _key(secret: bytes, public: PublicKey, header: bytes) -> bytes:
    return expand(secret, b"", b"mailstead seal 1" + public.encode() + header)

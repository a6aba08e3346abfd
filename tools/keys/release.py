"""The pair that signs releases: Ed25519 and ML-DSA-65, which have to be broken both.

ML-DSA-65 (FIPS 204) is there for the day on which a quantum computer breaks the one, Ed25519
(RFC 8032) in case that the young other one does not hold.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from firstboot.base.manifest import ReleaseKey, Signature
from tools.keys.errors import KeysError

ID_DIGITS = 16
PublicKey = Ed25519PublicKey | MLDSA65PublicKey


@dataclass(frozen=True)
class ReleasePair:
    """Two private keys that sign together."""

    ed25519: Ed25519PrivateKey
    ml_dsa_65: MLDSA65PrivateKey

    @property
    def public(self) -> ReleaseKey:
        """What machines know of it. The id is made from the public keys."""
        ed25519, ml_dsa_65 = self.ed25519.public_key(), self.ml_dsa_65.public_key()
        digest = hashlib.sha256(public_der(ed25519) + public_der(ml_dsa_65))
        return ReleaseKey(
            id=digest.hexdigest()[:ID_DIGITS], ed25519=_pem(ed25519), ml_dsa_65=_pem(ml_dsa_65)
        )

    def sign(self, message: bytes) -> Signature:
        """Both signatures, each over the whole message and without a context of its own."""
        return Signature(
            key=self.public.id,
            ed25519=base64.b64encode(self.ed25519.sign(message)).decode(),
            ml_dsa_65=base64.b64encode(self.ml_dsa_65.sign(message)).decode(),
        )


def make_release_pair() -> ReleasePair:
    """A new pair."""
    return ReleasePair(Ed25519PrivateKey.generate(), MLDSA65PrivateKey.generate())


def verify(public_key: str, message: bytes, signature: bytes) -> bool:
    """Whether a signature is right; the host's counterpart of firstboot.system.openssl.verify.

    Raises KeysError when `public_key` is no PEM of one of the two kinds.
    """
    key = load_public_key(public_key)
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def load_public_key(pem: str) -> PublicKey:
    """A public key of a release; KeysError when it is something else."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except ValueError:
        raise KeysError("a public release key cannot be read") from None
    if not isinstance(key, Ed25519PublicKey | MLDSA65PublicKey):
        raise KeysError("a public release key is neither Ed25519 nor ML-DSA-65")
    return key


def public_der(key: PublicKey) -> bytes:
    """A public key as SubjectPublicKeyInfo (RFC 5280), over which its fingerprint is made."""
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _pem(key: PublicKey) -> str:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()

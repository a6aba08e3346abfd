"""Private keys as files: PKCS #8 in PEM, encrypted or not, and checked when they are read."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tools.keys.certificates import Certified
from tools.keys.errors import KeysError
from tools.keys.release import ReleasePair

PrivateKey = RSAPrivateKey | Ed25519PrivateKey | MLDSA65PrivateKey


def dump_private(key: PrivateKey, password: bytes | None) -> bytes:
    """The key's file; in clear when `password` is None."""
    encryption: serialization.KeySerializationEncryption = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def load_certified(folder: Path, name: str, password: bytes | None) -> Certified:
    """NAME.key and NAME.crt; KeysError when they do not belong together."""
    key = _load_private(folder / f"{name}.key", password)
    if not isinstance(key, RSAPrivateKey):
        raise KeysError(f"{name}.key in {folder} is not an RSA key")
    certificate = load_certificate(folder / f"{name}.crt")
    if certificate.public_key() != key.public_key():
        raise KeysError(f"{name}.crt in {folder} does not belong to {name}.key")
    return Certified(key, certificate)


def load_certificate(path: Path) -> x509.Certificate:
    """A certificate; KeysError when the file is none."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise KeysError(f"{path} is not a certificate") from None


def load_release_pair(folder: Path, files: tuple[str, str], password: bytes | None) -> ReleasePair:
    """A release pair from its two files, Ed25519 first."""
    ed25519, ml_dsa_65 = (_load_private(folder / name, password) for name in files)
    if not isinstance(ed25519, Ed25519PrivateKey):
        raise KeysError(f"{files[0]} in {folder} is not an Ed25519 key")
    if not isinstance(ml_dsa_65, MLDSA65PrivateKey):
        raise KeysError(f"{files[1]} in {folder} is not an ML-DSA-65 key")
    return ReleasePair(ed25519, ml_dsa_65)


def _load_private(path: Path, password: bytes | None) -> object:
    """A private key of any kind; KeysError when it cannot be read or does not open."""
    try:
        return serialization.load_pem_private_key(path.read_bytes(), password)
    except ValueError:
        if password is None:
            raise KeysError(f"{path} is not a private key") from None
        raise KeysError(
            f"{path} does not open: the passphrase is wrong, or the file is damaged"
        ) from None
    except TypeError:
        wrong = "has a passphrase" if password is None else "has no passphrase"
        raise KeysError(f"{path} {wrong}, against what keys.json says") from None
    except UnsupportedAlgorithm:
        raise KeysError(f"{path} is a key of a kind that is not known here") from None

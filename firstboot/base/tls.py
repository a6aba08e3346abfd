"""Which certificate the services show: one of an authority, the owner's own, or the self-signed.

The first two lie in one PEM file each, key and chain together, so that there is no instant at which
they do not belong together. Dates do not count in the choice: a machine whose clock is wrong, or
whose authority is away, goes on with what it has, and the checks tell that it has ended.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from firstboot.base.certificate import Certificate, ensure_certificate
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.settings import Settings


@dataclass(frozen=True)
class Facts:
    """What a certificate says; times are in UTC, `fingerprint` is the SHA-256 in hexadecimal."""

    names: tuple[str, ...]
    issuer: str
    begins: datetime.datetime
    ends: datetime.datetime
    fingerprint: str

    @property
    def life(self) -> datetime.timedelta:
        return self.ends - self.begins

    def covers(self, hostname: str) -> bool:
        """Whether it is for `hostname`, by itself or as `*.` and its domain (RFC 9525, 6.3)."""
        return hostname in self.names or "*." + hostname.partition(".")[2] in self.names


def certificate_file(directory: Path, method: str) -> Path:
    """Where key and chain of a method lie in the state's folder `tls`."""
    return directory / f"{method}.pem"


def current_certificate(directory: Path, settings: Settings) -> Certificate:
    """What the services are to show: that of the settings' method, else the self-signed one."""
    found = None
    if settings.tls.method != "self-signed":
        found = read_installed(certificate_file(directory, settings.tls.method), settings.hostname)
    return found or ensure_certificate(directory, settings.hostname)


def read_installed(path: Path, hostname: str) -> Certificate | None:
    """Key and chain from a file; None when it is missing, damaged, or not for `hostname`."""
    try:
        found = split_pem(path.read_bytes())
        return found if certificate_facts(found.certificate).covers(hostname) else None
    except (OSError, ValueError):
        return None


def write_installed(path: Path, certificate: Certificate) -> None:
    """Keep key and chain; at any instant the file holds the old pair or the new one."""
    make_directory(path.parent)
    write_atomic(path, join_pem(certificate), mode=0o600)


def join_pem(certificate: Certificate) -> bytes:
    """The key, then the chain from the server's certificate on: as servers want it in one file."""
    return certificate.key.rstrip(b"\n") + b"\n" + certificate.certificate


def split_pem(data: bytes) -> Certificate:
    """Key and chain of a file made by `join_pem`.

    Raises ValueError unless both are there and the first certificate is the key's.
    """
    key = serialization.load_pem_private_key(data, password=None)
    chain = x509.load_pem_x509_certificates(data)
    if chain[0].public_key() != key.public_key():
        raise ValueError("the key is not that of the first certificate")
    return Certificate(b"".join(map(_pem, chain)), _key_pem(data))


def certificate_facts(pem: bytes) -> Facts:
    """What the first certificate of a PEM text says; ValueError when there is none to read."""
    found = x509.load_pem_x509_certificate(pem)
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = tuple(extension.value.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        names = ()
    return Facts(
        names,
        "itself" if found.issuer == found.subject else found.issuer.rfc4514_string(),
        found.not_valid_before_utc,
        found.not_valid_after_utc,
        found.fingerprint(hashes.SHA256()).hex(),
    )


def leaf_pem(certificate: Certificate) -> bytes:
    """The server's certificate alone, without those of the authorities above it."""
    return _pem(x509.load_pem_x509_certificate(certificate.certificate))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(data: bytes) -> bytes:
    key = serialization.load_pem_private_key(data, password=None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

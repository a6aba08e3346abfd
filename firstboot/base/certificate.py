"""The machine's self-signed certificate: made once, remade when the host name or the time asks."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firstboot.base.files import make_directory, write_atomic

# Apple's limit for certificates that people install themselves.
LIFETIME = datetime.timedelta(days=825)
RENEW_BEFORE = datetime.timedelta(days=30)
# A machine without a clock may be a little behind the one that connects.
BACKDATE = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key (PKCS #8), both PEM."""

    certificate: bytes
    key: bytes


def ensure_certificate(
    directory: Path, hostname: str, *, now: datetime.datetime | None = None
) -> Certificate:
    """The pair in `directory` (certificate.pem 0644, key.pem 0600), made if it does not fit.

    It fits when key and certificate belong together, the certificate is for exactly `hostname`,
    and at least 30 days are left. So a power cut between the two files mends itself.
    """
    moment = now or datetime.datetime.now(datetime.UTC)
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if certificate.is_file() and key.is_file():
        found = Certificate(certificate.read_bytes(), key.read_bytes())
        if _fits(found, hostname, moment):
            return found
    made = make_certificate(hostname, now=moment)
    make_directory(directory)
    write_atomic(key, made.key, mode=0o600)
    write_atomic(certificate, made.certificate)
    return made


def make_certificate(hostname: str, *, now: datetime.datetime) -> Certificate:
    """A new ECDSA P-256 key and a self-signed server certificate for `hostname` (RFC 5280)."""
    key = ec.generate_private_key(ec.SECP256R1())
    # Clients look at the alternative name only (RFC 9525); a common name takes 64 characters.
    common = hostname if len(hostname) <= 64 else "Mailstead"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now - BACKDATE + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        # Whoever trusts this certificate trusts this machine and nothing that it could sign.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_signing_only(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
    )
    return Certificate(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _signing_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _fits(found: Certificate, hostname: str, moment: datetime.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(found.certificate)
        key = serialization.load_pem_private_key(found.key, password=None)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return (
        certificate.public_key() == key.public_key()
        and names.value.get_values_for_type(x509.DNSName) == [hostname]
        # One that was made while the clock was ahead would never be trusted.
        and certificate.not_valid_before_utc <= moment
        and certificate.not_valid_after_utc - moment >= RENEW_BEFORE
    )

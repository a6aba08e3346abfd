"""A certificate that the owner brings: put in order, checked, and kept."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from firstboot.base.certificate import Certificate
from firstboot.base.renewal import CertificateError
from firstboot.base.tls import certificate_facts

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
# NIST SP 800-57 part 1, table 2; what mail programs and authorities of today demand.
MIN_RSA_BITS = 2048
MOST_BYTES = 1_000_000


def read_own(texts: Sequence[bytes], hostname: str, now: datetime.datetime) -> Certificate:
    """Key and chain from PEM texts, in whatever order they come.

    The chain is put in order: the server's certificate, the one that has signed it, and so on. Says
    in a CertificateError what is wrong with it. No message holds anything of the key.
    """
    keys, certificates = _sort(b"\n".join(texts))
    if len(keys) != 1:
        raise CertificateError(
            f"expected one private key, got {len(keys)}", "Give the files of key and certificates."
        )
    key, own = keys[0], [one for one in certificates if one.public_key() == keys[0].public_key()]
    if not own:
        raise CertificateError(
            f"none of the {len(certificates)} certificates belongs to this key",
            "Take the key that the certificate was asked for with.",
        )
    _require_strong(key)
    chain = _chain(own[0], [one for one in certificates if one not in own])
    _require_valid(chain, hostname, now)
    return Certificate(
        b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _sort(text: bytes) -> tuple[list[PrivateKeyTypes], list[x509.Certificate]]:
    if len(text) > MOST_BYTES:
        raise CertificateError(f"expected at most {MOST_BYTES} bytes, got {len(text)}")
    keys: list[PrivateKeyTypes] = []
    certificates: list[x509.Certificate] = []
    for block in _BLOCK.finditer(text):
        kind = block[1].decode()
        try:
            if kind == "CERTIFICATE":
                certificates.append(x509.load_pem_x509_certificate(block[0]))
            elif kind.endswith("PRIVATE KEY"):
                keys.append(serialization.load_pem_private_key(block[0], password=None))
        except TypeError:
            raise CertificateError(
                "the key is encrypted with a password",
                "Decrypt it first: openssl pkey -in KEY -out PLAIN",
            ) from None
        except ValueError:
            what = "the key" if kind != "CERTIFICATE" else f"certificate {len(certificates) + 1}"
            raise CertificateError(f"{what} is damaged", "Was the file copied whole?") from None
    if not keys and not certificates:
        raise CertificateError(
            "there is neither a key nor a certificate in it",
            "Expected are PEM files, which have lines such as -----BEGIN CERTIFICATE-----.",
        )
    return keys, certificates


def _require_strong(key: PrivateKeyTypes) -> None:
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < MIN_RSA_BITS:
            raise CertificateError(
                f"the key has {key.key_size} bits, expected at least {MIN_RSA_BITS}"
            )
    elif not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise CertificateError("the key is of another kind than RSA, EC or Ed25519")


def _chain(own: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    """The certificate and those above it, each signed by the next one; no others may be left."""
    chain, left = [own], list(dict.fromkeys(others))
    while above := next((one for one in left if _signed_by(chain[-1], one)), None):
        chain.append(above)
        left.remove(above)
    if left:
        subject = left[0].subject.rfc4514_string()
        raise CertificateError(
            f"the certificate of {subject} is not of this chain, or one between is missing",
            "Give the chain (fullchain) that came with the certificate, and nothing else.",
        )
    return chain


def _signed_by(certificate: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _require_valid(
    chain: Sequence[x509.Certificate], hostname: str, now: datetime.datetime
) -> None:
    facts = certificate_facts(chain[0].public_bytes(serialization.Encoding.PEM))
    if not facts.covers(hostname):
        raise CertificateError(
            f"the certificate is for {', '.join(facts.names) or 'no name'}, not for {hostname}",
            "Mail programs look for the host name of the settings in it.",
        )
    for one in chain:
        name = one.subject.rfc4514_string() or hostname
        if one.not_valid_after_utc <= now:
            raise CertificateError(
                f"the certificate of {name} has ended {one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
            )
        if one.not_valid_before_utc > now:
            raise CertificateError(
                f"the certificate of {name} begins {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
                "Is the clock of this machine right? `mailstead check` tells.",
            )

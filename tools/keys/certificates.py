"""RSA keys with a self-signed certificate: what firmware, kernel and TPM policies are given.

RSA-2048 and SHA-256 because that is all that every firmware takes (UEFI specification, 32.4), and
a TPM may know no longer keys.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

# Firmware, kernel and systemd look at the key and not at the date. Whatever else may read the
# certificate finds it valid for longer than any machine runs.
LIFETIME = datetime.timedelta(days=30 * 365)
KEY_BITS = 2048
# What each pair is for; its files are NAME.key and NAME.crt, its certificate is called this.
SUBJECTS = {
    "secure-boot": "Mailstead Secure Boot",
    "verity": "Mailstead system partition",
    "pcr": "Mailstead TPM policy",
}


@dataclass(frozen=True)
class Certified:
    """A private key and its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def make_certified(subject: str, created: datetime.datetime) -> Certified:
    """A new key and its certificate, which is valid for 30 years from `created` on."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    public = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(created)
        .not_valid_after(created + LIFETIME)
        # It signs code. Nothing that it could certify is trusted.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        # By this, signatures name it (RFC 5652, 5.3).
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Certified(key, certificate)

"""A certificate that the owner brings: what is taken, and what is said of all else."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from firstboot.base.certificate import make_certificate
from firstboot.base.renewal import CertificateError
from firstboot.base.tls import split_pem
from firstboot.certificates.own import read_own

NAME = "mail.example.com"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Made:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password: bytes | None = None) -> bytes:
        encryption = (
            serialization.BestAvailableEncryption(password)
            if password
            else serialization.NoEncryption()
        )
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )


def issue(
    subject: str,
    above: Made | None = None,
    *,
    names: tuple[str, ...] = (),
    begins: datetime.datetime = NOW - DAY,
    ends: datetime.datetime = NOW + 30 * DAY,
) -> Made:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(above.certificate.subject if above else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternative, critical=False)
    return Made(builder.sign(above.key if above else key, hashes.SHA256()), key)


ROOT = issue("Root")
MIDDLE = issue("Middle", ROOT)
LEAF = issue("Leaf", MIDDLE, names=(NAME, "imap.example.com"))


def read(*texts: bytes) -> list[bytes]:
    """The chain that is made of the texts, one PEM text each."""
    found = read_own(texts, NAME, NOW)
    assert split_pem(found.key + found.certificate) == found
    chain = x509.load_pem_x509_certificates(found.certificate)
    return [one.public_bytes(serialization.Encoding.PEM) for one in chain]


@pytest.mark.parametrize(
    "texts",
    [
        (LEAF.key_pem(), LEAF.pem + MIDDLE.pem),
        (LEAF.pem + MIDDLE.pem, LEAF.key_pem()),
        (MIDDLE.pem, LEAF.key_pem(), LEAF.pem),
        (b"Bag Attributes\n" + MIDDLE.pem + LEAF.pem + LEAF.pem + MIDDLE.pem + LEAF.key_pem(),),
    ],
)
def test_the_chain_is_put_in_order(texts: tuple[bytes, ...]) -> None:
    assert read(*texts) == [LEAF.pem, MIDDLE.pem]


def test_shorter_and_longer_chains() -> None:
    assert read(LEAF.key_pem(), LEAF.pem) == [LEAF.pem]
    assert read(LEAF.key_pem(), ROOT.pem, LEAF.pem, MIDDLE.pem) == [LEAF.pem, MIDDLE.pem, ROOT.pem]


def test_a_wildcard_and_a_self_signed_one() -> None:
    wild = issue("Wild", MIDDLE, names=("*.example.com",))
    assert read(wild.key_pem(), wild.pem) == [wild.pem]
    made = make_certificate(NAME, now=NOW)
    assert read(made.certificate, made.key) == [made.certificate]


def weak() -> bytes:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is to be refused
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weak")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, NOW, NOW + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return text + made.public_bytes(serialization.Encoding.PEM)


STRANGER = issue("Stranger")
OTHER = issue("Other", MIDDLE, names=("*.example.org", "example.com"))
DEEP = issue("Deep", MIDDLE, names=("*.mail.example.com",))
ENDED = issue("Ended", MIDDLE, names=(NAME,), ends=NOW - DAY / 2)
AHEAD = issue("Ahead", MIDDLE, names=(NAME,), begins=NOW + DAY)
OLD_MIDDLE = issue("Middle", ROOT, ends=NOW - DAY / 2)
YOUNG = issue("Young", OLD_MIDDLE, names=(NAME,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "neither a key nor a certificate"),
        (b"\x30\x82\x01\x02", "neither a key nor a certificate"),
        (LEAF.pem, "expected one private key, got 0"),
        (LEAF.key_pem() + MIDDLE.key_pem() + LEAF.pem, "expected one private key, got 2"),
        (LEAF.key_pem(), "none of the 0 certificates"),
        (LEAF.key_pem() + MIDDLE.pem, "none of the 1 certificates belongs to this key"),
        (LEAF.key_pem(b"secret") + LEAF.pem, "the key is encrypted with a password"),
        (LEAF.key_pem().replace(b"M", b"N", 1) + LEAF.pem, "the key is damaged"),
        (LEAF.key_pem() + LEAF.pem[:200] + LEAF.pem[240:], "certificate 1 is damaged"),
        (LEAF.key_pem() + LEAF.pem + STRANGER.pem, "certificate of CN=Stranger is not of this"),
        (LEAF.key_pem() + LEAF.pem + ROOT.pem, "CN=Root is not of this chain, or one between"),
        (OTHER.key_pem() + OTHER.pem, r"is for \*\.example\.org, example\.com, not for mail"),
        (DEEP.key_pem() + DEEP.pem, r"is for \*\.mail\.example\.com, not for mail"),
        (MIDDLE.key_pem() + MIDDLE.pem, "is for no name, not for"),
        (ENDED.key_pem() + ENDED.pem, "certificate of CN=Ended has ended 20"),
        (AHEAD.key_pem() + AHEAD.pem, "certificate of CN=Ahead begins 20"),
        (YOUNG.key_pem() + YOUNG.pem + OLD_MIDDLE.pem, "certificate of CN=Middle has ended"),
        (weak(), "the key has 1024 bits, expected at least 2048"),
        (b"x" * 1_000_001, "at most 1000000 bytes"),
    ],
)
def test_what_is_wrong_is_told(text: bytes, message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        read_own([text], NAME, NOW)

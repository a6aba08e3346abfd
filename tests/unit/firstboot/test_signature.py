"""Trust in a manifest: both signatures of one trusted key, and errors that say which is wrong."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from firstboot.base.errors import CommandError, ReleaseError
from firstboot.base.manifest import (
    CONTEXT,
    Envelope,
    Manifest,
    ReleaseKey,
    Signature,
    dump_manifest,
    parse_envelope,
)
from firstboot.base.signature import open_envelope
from tests.unit.firstboot.test_manifest import SAMPLE

TEXT = dump_manifest(SAMPLE)
MESSAGE = CONTEXT + TEXT.encode()


def pem(key: Ed25519PublicKey | MLDSA65PublicKey) -> str:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def verify(public_key: str, message: bytes, signature: bytes) -> bool:
    key = serialization.load_pem_public_key(public_key.encode())
    assert isinstance(key, Ed25519PublicKey | MLDSA65PublicKey)
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True)
class Signer:
    """A release pair made without tools.keys, so that this shows what the format is."""

    name: str
    ed25519: Ed25519PrivateKey
    ml_dsa_65: MLDSA65PrivateKey

    @property
    def public(self) -> ReleaseKey:
        ed25519, ml_dsa_65 = self.ed25519.public_key(), self.ml_dsa_65.public_key()
        return ReleaseKey(id=self.name, ed25519=pem(ed25519), ml_dsa_65=pem(ml_dsa_65))

    def sign(self, message: bytes = MESSAGE) -> Signature:
        return Signature(
            key=self.name,
            ed25519=base64.b64encode(self.ed25519.sign(message)).decode(),
            ml_dsa_65=base64.b64encode(self.ml_dsa_65.sign(message)).decode(),
        )


def make_signer(name: str) -> Signer:
    return Signer(name, Ed25519PrivateKey.generate(), MLDSA65PrivateKey.generate())


OLD, NEW = make_signer("old"), make_signer("new")


def envelope(*signatures: Signature, manifest: str = TEXT) -> Envelope:
    return Envelope(format=1, manifest=manifest, signatures=signatures)


def opened(found: Envelope, *signers: Signer) -> Manifest:
    return open_envelope(found, tuple(signer.public for signer in signers), verify, "a.json")


def flipped(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(data).decode()


def test_a_signed_manifest_is_read() -> None:
    assert opened(envelope(OLD.sign()), OLD) == SAMPLE


def test_one_trusted_key_is_enough() -> None:
    both = envelope(OLD.sign(), NEW.sign())
    assert opened(both, OLD) == opened(both, NEW) == opened(both, NEW, OLD) == SAMPLE
    assert opened(envelope(NEW.sign()), OLD, NEW) == SAMPLE


@pytest.mark.parametrize(
    ("spoiled", "named"),
    [
        (("ed25519",), "the Ed25519 signature of key old is wrong"),
        (("ml_dsa_65",), "the ML-DSA-65 signature of key old is wrong"),
        (
            ("ed25519", "ml_dsa_65"),
            "the Ed25519 and the ML-DSA-65 signature of key old is wrong",
        ),
    ],
)
def test_one_wrong_signature_of_two_is_refused_and_named(
    spoiled: tuple[str, ...], named: str
) -> None:
    signature = OLD.sign()
    changes = {name: flipped(getattr(signature, name)) for name in spoiled}
    with pytest.raises(ReleaseError) as caught:
        opened(envelope(signature.model_copy(update=changes)), OLD)
    assert caught.value.message == f"the manifest in a.json is refused: {named}"


@pytest.mark.parametrize("name", ["ed25519", "ml_dsa_65"])
@pytest.mark.parametrize("text", ["", "AAAA", base64.b64encode(bytes(9000)).decode()])
def test_a_signature_of_another_length_is_wrong(name: str, text: str) -> None:
    with pytest.raises(ReleaseError, match="is wrong"):
        opened(envelope(OLD.sign().model_copy(update={name: text})), OLD)


@pytest.mark.parametrize("at", [0, len(TEXT) // 2, len(TEXT) - 1])
def test_a_changed_byte_is_refused(at: int) -> None:
    changed = TEXT[:at] + chr(ord(TEXT[at]) ^ 1) + TEXT[at + 1 :]
    with pytest.raises(ReleaseError, match="Ed25519 and the ML-DSA-65"):
        opened(envelope(OLD.sign(), manifest=changed), OLD)


def test_what_is_signed_without_its_context_is_refused() -> None:
    with pytest.raises(ReleaseError, match="Ed25519 and the ML-DSA-65"):
        opened(envelope(OLD.sign(TEXT.encode())), OLD)


def test_the_halves_of_two_keys_make_no_whole_one() -> None:
    """Each signature is right, but for another key than the other one."""
    mixed = OLD.sign().model_copy(update={"ml_dsa_65": NEW.sign().ml_dsa_65})
    with pytest.raises(ReleaseError, match="ML-DSA-65 signature of key old"):
        opened(envelope(mixed, mixed.model_copy(update={"key": "new"})), OLD, NEW)


def test_an_unknown_key_is_refused_with_both_names() -> None:
    with pytest.raises(ReleaseError, match="it has new, trusted is old") as caught:
        opened(envelope(NEW.sign()), OLD)
    assert "release of the rotation" in caught.value.hint


def test_a_foreign_key_under_a_trusted_name_is_refused() -> None:
    with pytest.raises(ReleaseError, match="Ed25519 and the ML-DSA-65 signature of key old"):
        opened(envelope(NEW.sign().model_copy(update={"key": "old"})), OLD)


def test_nothing_signed_and_nothing_trusted() -> None:
    with pytest.raises(ReleaseError, match="it has none, trusted is old"):
        opened(envelope(), OLD)
    with pytest.raises(ReleaseError, match="it has old, trusted is none"):
        opened(envelope(OLD.sign()))


def test_of_several_that_are_wrong_each_is_named() -> None:
    both = envelope(OLD.sign(b"other"), NEW.sign(b"other"))
    with pytest.raises(ReleaseError, match=r"signature of key old is wrong; .* of key new is"):
        opened(both, OLD, NEW)


def test_no_base64() -> None:
    with pytest.raises(ReleaseError, match="not base64"):
        opened(envelope(OLD.sign().model_copy(update={"ed25519": "?!"})), OLD)


def test_a_manifest_is_not_read_before_it_is_trusted() -> None:
    with pytest.raises(ReleaseError, match="is wrong"):
        opened(envelope(OLD.sign(), manifest="{"), OLD)
    with pytest.raises(ReleaseError, match=r"the manifest in a\.json cannot be read"):
        opened(envelope(OLD.sign(CONTEXT + b"{"), manifest="{"), OLD)


def test_who_cannot_verify_does_not_trust() -> None:
    def fail(_key: str, _message: bytes, _signature: bytes) -> bool:
        raise CommandError("openssl was not found")

    with pytest.raises(CommandError):
        open_envelope(envelope(OLD.sign()), (OLD.public,), fail, "a.json")


def test_an_envelope_survives_its_file() -> None:
    found = envelope(OLD.sign())
    assert opened(parse_envelope(found.model_dump_json().encode(), "a.json"), OLD) == SAMPLE

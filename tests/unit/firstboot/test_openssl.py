"""openssl(1) as a verifier: a wrong signature is an answer, everything else is an error."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firstboot.base.errors import CommandError
from firstboot.system.openssl import verify
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.test_signature import pem

PRIVATE = Ed25519PrivateKey.generate()
PUBLIC = pem(PRIVATE.public_key())
MESSAGE = "a message, é\n".encode() * 1000
SIGNATURE = PRIVATE.sign(MESSAGE)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_a_right_signature(temporary: Path) -> None:
    assert verify(PUBLIC, MESSAGE, SIGNATURE)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("message", "signature"),
    [
        (MESSAGE + b"\n", SIGNATURE),
        (MESSAGE, SIGNATURE[:-1] + bytes([SIGNATURE[-1] ^ 1])),
        (MESSAGE, SIGNATURE[:-1]),
        (MESSAGE, SIGNATURE + b"\0"),
        (MESSAGE, b""),
        (MESSAGE, bytes(10_000)),
    ],
    ids=["message", "bit", "short", "long", "none", "much longer"],
)
def test_a_wrong_signature(message: bytes, signature: bytes) -> None:
    assert not verify(PUBLIC, message, signature)


@pytest.mark.parametrize(
    "public_key",
    ["", "not a key", PUBLIC[: len(PUBLIC) // 2]],
    ids=["none", "words", "half"],
)
def test_a_key_that_cannot_be_read_is_no_wrong_signature(public_key: str, temporary: Path) -> None:
    with pytest.raises(CommandError, match="could not verify") as caught:
        verify(public_key, MESSAGE, SIGNATURE)
    assert "3.5" in caught.value.hint
    assert list(temporary.iterdir()) == []


def test_an_algorithm_that_openssl_does_not_have_is_no_wrong_signature() -> None:
    """The key is well-formed, and its algorithm is 1.3.101.127, which nobody has."""
    unknown = PUBLIC.replace("MCowBQYDK2Vw", "MCowBQYDK2V/")
    assert unknown != PUBLIC
    with pytest.raises(CommandError, match="could not verify"):
        verify(unknown, MESSAGE, SIGNATURE)


def test_how_it_is_asked(programs: FakePrograms, tmp_path: Path) -> None:
    programs.add(
        "openssl", f'cp "$5" "$8" "${{10}}" {tmp_path}; stat -c %a "${{5%/*}}" >&2; exit 0'
    )
    assert verify("key", b"message", b"signature\0")
    ((*words, _),) = programs.calls
    assert [word for word in words if not word.startswith("/")] == [
        "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "-rawin", "-in", "-sigfile",
    ]  # fmt: skip
    assert (tmp_path / "key.pem").read_text() == "key"
    assert (tmp_path / "message").read_bytes() == b"message"
    assert (tmp_path / "signature").read_bytes() == b"signature\0"


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("echo Signature Verified Successfully", True),
        ("echo Signature Verification Failure; exit 1", False),
        ("echo Signature Verification Failure; echo more >&2; exit 1", False),
    ],
)
def test_its_answers(body: str, answer: object, programs: FakePrograms) -> None:
    """Those of OpenSSL 3.0 and 3.5 (apps/pkeyutl.c)."""
    programs.add("openssl", body)
    assert verify("key", b"message", b"signature") is answer


@pytest.mark.parametrize(
    "body",
    [
        "echo Could not find public key from key.pem >&2; exit 1",
        "echo Signature Verification Failure >&2; exit 1",
        "exit 1",
        "echo Signature Verification Failure; exit 3",
        "kill -9 $$",
    ],
)
def test_no_answer_is_an_error(body: str, programs: FakePrograms) -> None:
    programs.add("openssl", body)
    with pytest.raises(CommandError, match="could not verify a signature"):
        verify("key", b"message", b"signature")


def test_no_openssl(programs: FakePrograms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(programs.directory))
    with pytest.raises(CommandError, match="was not found"):
        verify("key", b"message", b"signature")

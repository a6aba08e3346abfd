"""Wraps, seals and codes: against fixed vectors, a second implementation, and what was changed."""

from __future__ import annotations

import argon2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given
from hypothesis import strategies as st

from postmaster.crypto import DataKey, cipher_pragmas, person_id
from postmaster.crypto.codes import (
    ALPHABET,
    grouped,
    new_app_password,
    new_recovery_code,
    read_app_password,
    read_recovery_code,
)
from postmaster.crypto.passwords import LEAST, SLOW, Argon2Parameters, tune
from postmaster.crypto.sealing import (
    HEADER_BYTES,
    PublicKey,
    Purpose,
    SealError,
    private_key,
    seal,
    unseal,
)
from postmaster.crypto.wraps import (
    Owner,
    Scope,
    WrapFormatError,
    WrapKind,
    WrongSecretError,
    expand,
    scope_key,
    unwrap,
    wrap,
)
from tests.unit.postmaster.harness import ADA, BOB, bounded
from tests.unit.postmaster.vectors import (
    ARGON2_WRAP,
    HKDF_WRAP,
    PUBLIC_KEY_SHA256,
    SEALED,
    sha256,
)

KEY = DataKey(bytes(range(32)))
VAULT = person_id(ADA)
OWNER = Owner(VAULT, VAULT)
CHEAP = Argon2Parameters(64, 1, 1)
TOKEN = bytes(range(32, 64))


def test_a_wiped_key_is_of_no_use() -> None:
    key = DataKey.random()
    memory = key.secret
    assert len(set(memory)) > 8
    assert key.secret.hex() not in repr(key)
    key.wipe()
    assert memory == b""
    assert key.wiped
    with pytest.raises(ValueError, match="wiped"):
        cipher_pragmas(key)


# Wraps


def test_the_vectors_of_wraps() -> None:
    """Made once by this format's first version: what was written then is read for ever."""
    assert unwrap(bytes.fromhex(ARGON2_WRAP), OWNER, b"correct horse") == bytes(range(32))
    assert unwrap(bytes.fromhex(HKDF_WRAP), OWNER, TOKEN) == bytes(range(32))


def test_a_wrap_is_what_the_page_says() -> None:
    """Taken apart by its table, with another implementation of Argon2id."""
    blob = bytes.fromhex(ARGON2_WRAP)
    assert blob[:16] == bytes([1, 1, 7, 1]) + b"\0\0\0\x40" + b"\0\0\0\x01" + b"\0\0\0\x01"
    salt, nonce, sealed = blob[16:32], blob[32:44], blob[44:]
    key = argon2.low_level.hash_secret_raw(
        b"correct horse", salt, 1, 64, 1, 32, argon2.low_level.Type.ID
    )
    associated = b"mailstead wrap\0" + blob[:32] + VAULT.encode() * 2
    assert ChaCha20Poly1305(key).decrypt(nonce, sealed, associated) == bytes(range(32))


@bounded
@given(st.binary(min_size=1, max_size=40), st.binary(max_size=40), st.data())
def test_a_wrap_opens_for_its_secret_alone(
    secret: bytes, content: bytes, data: st.DataObject
) -> None:
    blob = wrap(WrapKind.PASSWORD, Scope.ALL, OWNER, secret, content, parameters=CHEAP)
    assert unwrap(blob, OWNER, secret) == content
    with pytest.raises(WrongSecretError):
        unwrap(blob, OWNER, secret + b"x")
    position = data.draw(st.integers(0, len(blob) * 8 - 1))
    changed = bytearray(blob)
    changed[position // 8] ^= 1 << (position % 8)
    if position // 8 in range(4, 16):
        return  # another cost, perhaps a huge one
    with pytest.raises((WrongSecretError, WrapFormatError)):
        unwrap(bytes(changed), OWNER, secret)


@pytest.mark.parametrize(
    "owner",
    [Owner(person_id(BOB), VAULT), Owner(VAULT, "0" * 32)],
    ids=["another person", "another vault"],
)
def test_a_wrap_is_bound_to_its_owner(owner: Owner) -> None:
    blob = wrap(WrapKind.TOKEN, Scope.ALL, OWNER, TOKEN, KEY.secret, parameters=None)
    with pytest.raises(WrongSecretError):
        unwrap(blob, owner, TOKEN)


@pytest.mark.parametrize(
    "blob", [b"", b"\x01" * 59, b"\x02" * 100, b"\x01\x01\x07\x03" + b"\0" * 90]
)
def test_what_is_no_wrap_is_told(blob: bytes) -> None:
    with pytest.raises(WrapFormatError):
        unwrap(blob, OWNER, b"x")


def test_the_cost_in_a_damaged_wrap_is_bounded() -> None:
    blob = bytearray(bytes.fromhex(ARGON2_WRAP))
    blob[4:8] = b"\xff\xff\xff\xff"
    with pytest.raises(WrapFormatError):
        unwrap(bytes(blob), OWNER, b"correct horse")


def test_a_scope_gets_no_more_than_it_needs() -> None:
    assert scope_key(KEY, Scope.MAIL | Scope.SEND) == bytes(KEY.secret)
    assert scope_key(KEY, Scope.SEND) == b""
    dav = scope_key(KEY, Scope.DAV | Scope.SEND)
    assert len(dav) == 32
    assert dav != bytes(KEY.secret)


def test_the_derivation_is_that_of_rfc_5869() -> None:
    """Its test case 1."""
    found = expand(b"\x0b" * 22, bytes(range(13)), bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42)
    assert found.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_tuning_never_goes_below_the_least() -> None:
    assert tune(0.0) == LEAST
    assert tune(0.0, most=0.0) == SLOW


# Seals


def test_the_vectors_of_seals() -> None:
    private = private_key(KEY)
    assert sha256(private.public.encode()) == PUBLIC_KEY_SHA256
    assert unseal(private, Purpose.MAIL, VAULT, bytes.fromhex(SEALED)) == b"a sealed message"


@bounded
@given(st.binary(max_size=200), st.data())
def test_a_seal_opens_as_it_was_closed_or_not_at_all(content: bytes, data: st.DataObject) -> None:
    private = private_key(KEY)
    blob = seal(private.public, Purpose.MAIL, VAULT, content)
    assert unseal(private, Purpose.MAIL, VAULT, blob) == content
    position = data.draw(st.integers(0, len(blob) * 8 - 1))
    changed = bytearray(blob)
    changed[position // 8] ^= 1 << (position % 8)
    with pytest.raises(SealError):
        unseal(private, Purpose.MAIL, VAULT, bytes(changed))
    with pytest.raises(SealError):
        unseal(private, Purpose.MAIL, VAULT, blob[: data.draw(st.integers(0, len(blob) - 1))])


def test_a_seal_is_for_one_vault_one_key_and_one_purpose() -> None:
    private = private_key(KEY)
    blob = seal(private.public, Purpose.MAIL, VAULT, b"x")
    for wrong in (
        (private_key(DataKey(bytes(32))), Purpose.MAIL, VAULT),
        (private, Purpose.FORMER_KEY, VAULT),
        (private, Purpose.MAIL, "0" * 32),
    ):
        with pytest.raises(SealError):
            unseal(*wrong, blob)


def test_two_seals_of_the_same_have_nothing_in_common() -> None:
    public = private_key(KEY).public
    first, second = (seal(public, Purpose.MAIL, VAULT, b"the same") for _ in range(2))
    assert first[25:] != second[25:]
    assert first[HEADER_BYTES:] != second[HEADER_BYTES:]


def test_public_keys_round_trip() -> None:
    public = private_key(KEY).public
    assert PublicKey.decode(public.encode()) == public
    for wrong in (b"", b"\x02" + public.encode()[1:], public.encode()[:-1]):
        with pytest.raises(SealError):
            PublicKey.decode(wrong)
    with pytest.raises(SealError):
        seal(PublicKey(bytes(32), public.kem), Purpose.MAIL, VAULT, b"x")


# Codes


def test_a_recovery_code_has_128_bits() -> None:
    secret = len(new_recovery_code()) - 2
    assert len(ALPHABET) == 32
    assert secret * 5 >= 128


@bounded
@given(st.integers(0, 27), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_mostly_noticed(position: int, character: str) -> None:
    code = new_recovery_code()
    assert read_recovery_code(grouped(code).upper().replace("0", "O").replace("1", "I")) == code
    assert read_app_password(code) is None
    changed = code[:position] + character + code[position + 1 :]
    # A checksum of ten bits: with this much luck the wrong one is tried, and does not open.
    assert read_recovery_code(changed) in ({code} if changed == code else {None, changed})


def test_checksums_catch_slips() -> None:
    caught = 0
    for _ in range(200):
        code = new_recovery_code()
        caught += read_recovery_code(code[1] + code[0] + code[2:]) is None or code[0] == code[1]
    assert caught >= 190


def test_app_passwords_say_which_one_they_are() -> None:
    app = new_app_password()
    read = read_app_password(f" {grouped(app.text).upper()} ")
    assert read == app
    assert app.text[4:] not in repr(app)
    assert len(app.id) == 4
    for typed in ("", "correct horse battery staple", app.text[:-1], app.text + "0", "é" * 24):
        assert read_app_password(typed) is None

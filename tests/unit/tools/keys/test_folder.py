"""Key sets on disk: what is made, what is refused, and that every change is one step."""

from __future__ import annotations

import datetime
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from firstboot.base.files import write_atomic
from tests.unit.tools.keys.conftest import NOW, PASSPHRASE, content, read_certificate
from tools.build.source import CHECKOUT
from tools.keys import certificates, folder
from tools.keys.errors import KeysError
from tools.keys.folder import (
    begin_rotation,
    finish_rotation,
    key_folder,
    make_folder,
    read_folder,
    release_files,
)


class Cut(BaseException):
    """Power goes."""


def test_a_set_is_private_and_complete(plain: Path) -> None:
    found = read_folder(plain)
    assert plain.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in plain.iterdir()} == {0o600}
    named = {"keys.json", *found.private_files, *found.certificate_files}
    assert {path.name for path in plain.iterdir()} == named
    assert found.record.kind == "release"
    assert found.record.created == "2026-05-04T03:02:01Z"
    assert [key.id for key in found.record.trusted] == list(found.record.signing)


def test_certificates(tmp_path: Path) -> None:
    made = make_folder(tmp_path / "keys", "test", None, now=NOW).path
    for name in ("secure-boot", "verity", "pcr"):
        key = serialization.load_pem_private_key((made / f"{name}.key").read_bytes(), None)
        certificate = read_certificate(made / f"{name}.crt")
        public = certificate.public_key()
        assert isinstance(key, RSAPrivateKey)
        assert isinstance(public, RSAPublicKey)
        assert public == key.public_key()
        assert public.key_size == 2048
        assert certificate.not_valid_before_utc == NOW
        assert certificate.not_valid_after_utc - NOW == datetime.timedelta(days=30 * 365)
        assert certificate.subject.rfc4514_string().endswith(" (test)")
        certificate.verify_directly_issued_by(certificate)


def test_keys_for_releases_do_not_call_themselves_test_keys(plain: Path) -> None:
    names = {read_certificate(path).subject.rfc4514_string() for path in plain.glob("*.crt")}
    assert names == {f"CN={subject}" for subject in certificates.SUBJECTS.values()}


def test_a_passphrase_protects_every_private_key(protected: Path) -> None:
    found = read_folder(protected)
    for name in found.private_files:
        text = (protected / name).read_bytes()
        assert text.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        # The passphrase itself is not the password: what guards a file is stretched.
        # One wrong password in 256 leaves a padding that looks right, and then nonsense.
        with pytest.raises(ValueError, match=r"password|deserialize"):
            serialization.load_pem_private_key(text, PASSPHRASE)
        serialization.load_pem_private_key(text, found.password(PASSPHRASE))


@pytest.mark.parametrize("what", ["keys", "file", "folder with something", "link"])
def test_nothing_is_overwritten(what: str, tmp_path: Path) -> None:
    place = tmp_path / "keys"
    if what == "keys":
        make_folder(place, "release", None, now=NOW)
    elif what == "file":
        place.touch()
    elif what == "link":
        (tmp_path / "empty").mkdir()
        place.symlink_to(tmp_path / "empty")
    else:
        place.mkdir()
        (place / "something").touch()
    before = content(place) if place.is_dir() else {}
    with pytest.raises(KeysError, match="never overwritten"):
        make_folder(place, "release", None, now=NOW)
    assert (content(place) if place.is_dir() else {}) == before


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)
    make_folder(tmp_path / "keys", "release", None, now=NOW)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    read_folder(tmp_path / "keys")


def cut_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let power go when this many files are written. Nothing is tidied up then."""
    left = steps
    write = write_atomic

    def cutting(path: Path, data: bytes, *, mode: int) -> None:
        nonlocal left
        if not left:
            raise Cut
        left -= 1
        write(path, data, mode=mode)

    monkeypatch.setattr(folder, "write_atomic", cutting)
    monkeypatch.setattr(shutil, "rmtree", lambda *_words, **_options: None)


@pytest.mark.parametrize("steps", range(9))
def test_a_cut_leaves_no_half_set(
    steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "keys"
    with monkeypatch.context() as patched:
        cut_after(steps, patched)
        with pytest.raises(Cut):
            make_folder(place, "release", None, now=NOW)
    assert not place.exists()
    make_folder(place, "release", None, now=NOW)
    read_folder(place)
    assert not list(tmp_path.glob(".keys*"))


@pytest.mark.parametrize("steps", range(3))
def test_a_cut_leaves_the_set_as_it_was_before_a_rotation(
    steps: int, protected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_folder(protected)
    with monkeypatch.context() as patched:
        cut_after(steps, patched)
        with pytest.raises(Cut):
            begin_rotation(protected, PASSPHRASE)
    assert read_folder(protected) == before
    after = begin_rotation(protected, PASSPHRASE)
    named = {"keys.json", *after.private_files, *after.certificate_files}
    assert {path.name for path in protected.iterdir()} == named


def test_rotation(protected: Path) -> None:
    before = content(protected)
    old = read_folder(protected).record
    during = begin_rotation(protected, PASSPHRASE)
    assert read_folder(protected) == during
    new, former = during.record.signing
    assert former == old.signing[0] != new
    assert [key.id for key in during.record.trusted] == [new, former]
    kept = {name: data for name, data in content(protected).items() if name in before}
    assert {name for name in kept if kept[name] != before[name]} == {"keys.json"}
    with pytest.raises(KeysError, match="under way already"):
        begin_rotation(protected, PASSPHRASE)

    after = finish_rotation(protected)
    assert read_folder(protected) == after
    assert after.record.signing == (new,)
    assert [key.id for key in after.record.trusted] == [new]
    assert not any((protected / name).exists() for name in release_files(former))
    assert after.password(PASSPHRASE) == during.password(PASSPHRASE)
    with pytest.raises(KeysError, match="no rotation"):
        finish_rotation(protected)


def test_a_stolen_key_still_signs_but_is_not_trusted(plain: Path) -> None:
    found = begin_rotation(plain, None, distrust=True).record
    assert len(found.signing) == 2
    assert [key.id for key in found.trusted] == [found.signing[0]]
    assert len(finish_rotation(plain).record.trusted) == 1


@pytest.mark.parametrize(("given", "text"), [(b"wrong", "passphrase is wrong"), (None, "none was")])
def test_rotation_with_the_wrong_passphrase_changes_nothing(
    given: bytes | None, text: str, protected: Path
) -> None:
    before = content(protected)
    with pytest.raises(KeysError, match=text):
        begin_rotation(protected, given)
    assert content(protected) == before


@pytest.mark.parametrize("name", ["verity.key", "pcr.crt"])
def test_a_missing_file_is_named(name: str, plain: Path) -> None:
    (plain / name).unlink()
    with pytest.raises(KeysError, match=f"{name} is missing"):
        read_folder(plain)


@pytest.mark.parametrize("what", ["", "verity.key"])
def test_keys_that_others_may_read_are_refused(what: str, plain: Path) -> None:
    (plain / what).chmod(0o750)
    with pytest.raises(KeysError, match="open to others"):
        read_folder(plain)


def test_no_keys(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="there are no keys") as caught:
        read_folder(tmp_path / "nowhere")
    assert "keys init" in caught.value.hint


def change(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda record: record.update({key: value})


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (change("format", 2), "format"),
        (change("kind", "other"), "kind"),
        (change("created", "yesterday"), "created"),
        (change("signing", []), "signing"),
        (change("signing", ["../../../etc/passw"]), "signing.0"),
        (change("signing", ["0" * 16]), "does not trust its own"),
        (change("trusted", []), "trusted"),
        (change("surprise", 1), "surprise"),
        (lambda record: record["stretching"].update(memory_kib=1 << 40), "memory_kib"),
        (lambda record: record["stretching"].update(kdf="none"), "kdf"),
        (lambda record: record["stretching"].update(salt="00"), "salt"),
    ],
)
def test_a_wrong_record_is_explained(
    spoil: Callable[[dict[str, Any]], None], text: str, protected: Path
) -> None:
    record = json.loads((protected / "keys.json").read_text())
    spoil(record)
    (protected / "keys.json").write_text(json.dumps(record))
    with pytest.raises(KeysError, match=text):
        read_folder(protected)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_record_that_is_none(data: bytes, plain: Path) -> None:
    (plain / "keys.json").write_bytes(data)
    with pytest.raises(KeysError, match=r"keys\.json"):
        read_folder(plain)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeysError, match=r"Not a directory|File exists"):
        make_folder(tmp_path / "file" / "keys", "release", None, now=NOW)


def test_where_keys_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_folder(None) == tmp_path / "config" / "mailstead" / "keys"
    assert key_folder(tmp_path / "x") == tmp_path / "x"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_folder(None) == tmp_path / ".config" / "mailstead" / "keys"


def test_keys_are_never_in_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(CHECKOUT)
    relative = Path(os.path.relpath(CHECKOUT / "keys"))
    for place in (CHECKOUT, CHECKOUT / "a" / "keys", tmp_path / "link" / "keys", relative):
        with pytest.raises(KeysError, match="is in the checkout"):
            key_folder(place)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(CHECKOUT))
    with pytest.raises(KeysError, match="is in the checkout"):
        key_folder(None)

"""Opened keys: where they lie, that they go, and what they sign."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from firstboot.base.errors import ReleaseError
from firstboot.base.signature import open_envelope
from tests.unit.tools.keys.conftest import NOW, PASSPHRASE, content, copy, pretend
from tools.build.errors import BuildError
from tools.build.source import CHECKOUT
from tools.host.cache import cache_folder
from tools.host.memory import memory_folder
from tools.keys.errors import KeysError
from tools.keys.folder import begin_rotation, finish_rotation, make_folder, read_folder
from tools.keys.keyset import SigningKeys, opened_keys, opened_test_keys, require_release_keys
from tools.keys.opening import opened_release_keys
from tools.keys.release import verify

# Signatures are looked at before the text is: that this one is none shows that they are right.
TEXT = "not a manifest"
RIGHT = "the manifest in here cannot be read"

KILLED = """
import os, signal, sys
from pathlib import Path
from tools.host import memory
memory.MEMORY = Path(sys.argv[1])
with memory.memory_folder("keys") as folder:
    (folder / "secret").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def private_paths(keys: SigningKeys) -> tuple[Path, ...]:
    return keys.secure_boot_key, keys.verity_key, keys.pcr_key


def test_encrypted_keys_are_opened_in_memory_and_go(protected: Path, shm: Path) -> None:
    before = content(protected)
    with opened_keys(protected, PASSPHRASE) as keys:
        assert keys.folder.parent == shm
        assert keys.folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in keys.folder.iterdir()} == {0o600}
        for path in private_paths(keys):
            serialization.load_pem_private_key(path.read_bytes(), None)
        for path in (keys.secure_boot_certificate, keys.verity_certificate, keys.pcr_certificate):
            assert path.read_bytes() == before[path.name]
        assert keys.kind == "release"
    assert list(shm.iterdir()) == []
    assert content(protected) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_opened_keys_go_whatever_ends_the_work(
    error: type[BaseException], protected: Path, shm: Path
) -> None:
    def work() -> None:
        with opened_keys(protected, PASSPHRASE):
            assert list(shm.iterdir())
            raise error

    with pytest.raises(error):
        work()
    assert list(shm.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next(shm: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(shm)], cwd=CHECKOUT, check=False)
    (left,) = shm.iterdir()
    assert (left / "secret").exists()
    with memory_folder("keys") as first, memory_folder("keys") as second:
        # Those that are in use stay.
        assert sorted(shm.iterdir()) == sorted([first, second])
    assert list(shm.iterdir()) == []


@pytest.mark.parametrize("kind", ["ext2/ext3", "overlayfs", ""])
def test_keys_are_not_opened_onto_a_disk(kind: str, protected: Path, shm: Path, home: Path) -> None:
    pretend(home / "programs", kind)
    with (
        pytest.raises(KeysError, match=r"not memory \(tmpfs\)"),
        opened_keys(protected, PASSPHRASE),
    ):
        pytest.fail("opened")
    assert list(shm.iterdir()) == []


def test_keys_in_clear_are_used_where_they_are(plain: Path, shm: Path) -> None:
    for passphrase in (None, b"needless"):
        with opened_keys(plain, passphrase) as keys:
            assert keys.folder == plain
            assert list(shm.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "text"), [(b"wrong", "the passphrase is wrong"), (None, "none was given")]
)
def test_wrong_passphrase(given: bytes | None, text: str, protected: Path, shm: Path) -> None:
    with pytest.raises(KeysError, match=text), opened_keys(protected, given):
        pytest.fail("opened")
    assert list(shm.iterdir()) == []


def test_files_that_do_not_belong_together_are_refused(plain: Path, home: Path) -> None:
    other = make_folder(home / "other", "test", None, now=NOW).path
    (own,) = read_folder(plain).record.signing
    (foreign,) = read_folder(other).record.signing
    pairs = {
        "verity.crt": other / "verity.crt",
        "secure-boot.key": other / "secure-boot.key",
        "pcr.key": plain / f"release-{own}-ed25519.key",
        f"release-{own}-ed25519.key": other / f"release-{foreign}-ed25519.key",
        f"release-{own}-ml-dsa-65.key": plain / f"release-{own}-ed25519.key",
    }
    for name, source in pairs.items():
        spoiled = copy(plain, f"spoiled-{name}")
        shutil.copyfile(source, spoiled / name)
        with pytest.raises(KeysError, match=name), opened_keys(spoiled, None):
            pytest.fail("opened")


@pytest.mark.parametrize("name", ["verity.key", "verity.crt"])
def test_a_damaged_file_is_named(name: str, plain: Path) -> None:
    (plain / name).write_text("damaged")
    with pytest.raises(KeysError, match=name), opened_keys(plain, None):
        pytest.fail("opened")


def test_a_record_that_is_wrong_about_passphrases(plain: Path, protected: Path) -> None:
    for place, text in ((plain, "has no passphrase"), (protected, "has a passphrase")):
        spoiled = copy(place, f"spoiled-{place.name}")
        other = protected if place == plain else plain
        record = json.loads((spoiled / "keys.json").read_text())
        record["stretching"] = json.loads((other / "keys.json").read_text())["stretching"]
        (spoiled / "keys.json").write_text(json.dumps(record))
        with pytest.raises(KeysError, match=text), opened_keys(spoiled, PASSPHRASE):
            pytest.fail("opened")


def test_what_is_signed_opens_with_the_trusted_keys(protected: Path, plain: Path) -> None:
    with opened_keys(protected, PASSPHRASE) as keys:
        envelope = keys.sign(TEXT)
    assert envelope.manifest == TEXT
    with pytest.raises(ReleaseError, match=RIGHT):
        open_envelope(envelope, keys.trusted, verify, "here")
    with opened_keys(plain, None) as others, pytest.raises(ReleaseError, match="not signed by"):
        open_envelope(envelope, others.trusted, verify, "here")


@pytest.mark.parametrize("distrust", [False, True])
def test_rotation_from_machine_to_machine(*, distrust: bool, plain: Path) -> None:
    with opened_keys(plain, None) as keys:
        before = keys.trusted
        first = keys.sign(TEXT)
    begin_rotation(plain, None, distrust=distrust)
    with opened_keys(plain, None) as keys:
        during = keys.trusted
        second = keys.sign(TEXT)
    finish_rotation(plain)
    with opened_keys(plain, None) as keys:
        after = keys.trusted
        third = keys.sign(TEXT)
    for trusted, envelope in (
        (before, second),
        (during, second),
        (during, third),
        (after, third),
        *([] if distrust else [(during, first)]),
    ):
        with pytest.raises(ReleaseError, match=RIGHT):
            open_envelope(envelope, trusted, verify, "here")
    for trusted, envelope in (
        (before, third),
        (after, first),
        *([(during, first)] if distrust else []),
    ):
        with pytest.raises(ReleaseError, match="not signed by a key"):
            open_envelope(envelope, trusted, verify, "here")


def test_the_fingerprint_follows_what_an_image_shows(plain: Path, home: Path) -> None:
    def fingerprint(place: Path) -> str:
        with opened_keys(place, None) as keys:
            return keys.fingerprint

    same = fingerprint(plain)
    assert fingerprint(copy(plain, "copy")) == same
    other = make_folder(home / "other", "test", None, now=NOW).path
    with opened_keys(plain, None) as keys:
        # The same release keys with other certificates.
        assert dataclasses.replace(keys, folder=other).fingerprint != same
    begin_rotation(plain, None)
    assert fingerprint(plain) != same


def test_test_keys_are_made_once_and_never_sign_a_release(home: Path) -> None:
    with opened_test_keys() as keys:
        made = content(keys.folder)
        assert keys.folder.is_relative_to(home / "cache")
        assert keys.kind == "test"
        with pytest.raises(BuildError, match="test keys"):
            require_release_keys(keys)
    with opened_test_keys() as again:
        assert content(again.folder) == made


def test_spoiled_test_keys_are_made_anew() -> None:
    with opened_test_keys() as keys:
        (keys.folder / "verity.key").write_text("damaged")
    with opened_test_keys() as keys:
        assert "PRIVATE KEY" in keys.verity_key.read_text()
        assert [entry.name for entry in cache_folder("keys").iterdir()] == [keys.folder.name]


def test_release_keys_are_release_keys(plain: Path) -> None:
    with opened_keys(plain, None) as keys:
        require_release_keys(keys)


def test_openssl_reads_the_opened_keys(protected: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this host")
    with opened_keys(protected, PASSPHRASE) as keys:
        for path in private_paths(keys):
            words = ["openssl", "pkey", "-in", str(path), "-noout", "-check"]
            done = subprocess.run(words, env={"PATH": os.defpath}, check=False)
            assert done.returncode == 0


def test_keys_for_a_release_are_asked_for_before_the_work_begins(
    protected: Path, home: Path, shm: Path
) -> None:
    with pytest.raises(KeysError, match="nobody to ask"):
        opened_release_keys(protected, None)
    with pytest.raises(KeysError, match="there are no keys"):
        opened_release_keys(None, None)
    (home / "passphrase").write_bytes(PASSPHRASE)
    waiting = opened_release_keys(protected, home / "passphrase")
    assert list(shm.iterdir()) == []
    with waiting as keys:
        assert keys.kind == "release"


def test_keys_for_a_release_are_none_for_tests(home: Path) -> None:
    place = make_folder(home / "test", "test", None, now=NOW).path
    with pytest.raises(BuildError, match="test keys"), opened_release_keys(place, None):
        pytest.fail("opened")

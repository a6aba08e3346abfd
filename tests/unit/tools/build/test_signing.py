"""Whose keys an image is signed with, whom it trusts, and that no private key gets into it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firstboot.base.manifest import parse_keys
from tests.unit.tools.build.conftest import FakeMkosi
from tools.build.errors import BuildError
from tools.build.image import Built, build_image, build_parts
from tools.keys.enrolment import enrolment_files
from tools.keys.folder import begin_rotation, make_folder
from tools.keys.keyset import SigningKeys, opened_keys, opened_test_keys

NOW = datetime.datetime(2026, 5, 4, 3, 2, 1, tzinfo=datetime.UTC)
SHARE = "usr/share/mailstead"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Keys for releases, without a passphrase."""
    return make_folder(tmp_path / "own", "release", None, now=NOW).path


def _build(keys: Path | None = None) -> Built:
    opened = opened_keys(keys, None) if keys else None
    return build_image("ubuntu", report=lambda _: None, keys=opened)


def _contents(keys: SigningKeys) -> dict[str, str]:
    """By mkosi's options."""
    paths = {
        "secure-boot-key": keys.secure_boot_key,
        "secure-boot-certificate": keys.secure_boot_certificate,
        "verity-key": keys.verity_key,
        "verity-certificate": keys.verity_certificate,
        "sign-expected-pcr-key": keys.pcr_key,
        "sign-expected-pcr-certificate": keys.pcr_certificate,
    }
    return {option: path.read_text() for option, path in paths.items()}


def test_the_checkouts_test_keys_sign_where_none_are_named(host: FakeMkosi) -> None:
    built = _build()
    with opened_test_keys() as keys:
        assert host.signed() == _contents(keys)
    assert len(set(host.signed().values())) == 6
    assert built.release.keys == "test"


def test_keys_for_releases_sign_and_are_told(host: FakeMkosi, own: Path) -> None:
    _build()
    built = _build(own)
    with opened_keys(own, None) as keys:
        assert host.signed() == _contents(keys)
        assert host.early == keys.verity_certificate.read_text()
    assert built.release.keys == "release"


def test_a_slot_carries_whom_it_trusts(host: FakeMkosi, own: Path) -> None:
    _build(own)
    file = host.tree / SHARE / "release-keys.json"
    with opened_keys(own, None) as keys:
        assert parse_keys(file.read_text(), "it") == keys.trusted
        enrolled = host.tree / "efi/loader/keys/auto"
        found = {path.name: path.read_bytes() for path in enrolled.iterdir()}
        assert found == enrolment_files(keys)


def test_no_private_key_gets_into_an_image(host: FakeMkosi, own: Path) -> None:
    built = _build(own)
    files = [path for top in (host.tree, built.folder) for path in top.rglob("*") if path.is_file()]
    assert host.tree / SHARE / "release-keys.json" in files
    # The first line of a key's text (RFC 7468) and some of the key: code may name the former.
    key = re.compile(rb"PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}")
    assert [path for path in files if key.search(path.read_bytes())] == []


def test_other_keys_make_another_image_of_the_same_containers(host: FakeMkosi, own: Path) -> None:
    test = _build()
    host.built()
    release = _build(own)
    assert host.built() == ["early", "appliance"]
    begin_rotation(own, None)
    rotating = _build(own)
    assert host.built() == ["appliance"]
    assert len({test.folder, release.folder, rotating.folder}) == 3
    assert test.release.images == rotating.release.images
    with opened_keys(own, None) as keys:
        assert len(keys.trusted) == 2
    assert _build().folder == test.folder
    assert host.built() == []


@pytest.mark.parametrize(("how", "error"), [("fail", BuildError), ("interrupt", KeyboardInterrupt)])
def test_keys_are_open_as_long_as_a_build_and_no_longer(
    host: FakeMkosi, own: Path, how: str, error: type[BaseException]
) -> None:
    events: list[str] = []

    @contextmanager
    def opened() -> Iterator[SigningKeys]:
        with opened_keys(own, None) as keys:
            events.append("opened")
            try:
                yield keys
            finally:
                events.append("closed")

    host.behave("appliance", how)
    with pytest.raises(error):
        build_image("ubuntu", report=events.append, keys=opened())
    assert events[0] == "opened"
    assert events[-1] == "closed"
    assert "Building the image …" in events


def test_containers_are_built_without_keys_of_a_person(host: FakeMkosi) -> None:
    assert build_parts("ubuntu", report=lambda _: None).release.keys == "test"

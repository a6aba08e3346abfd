"""What is published, and what is refused, seen as a machine sees it."""

from __future__ import annotations

import dataclasses
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.errors import MailsteadError, ReleaseError
from firstboot.base.manifest import ROLES, Role
from firstboot.base.run import run
from tests.unit.tools.publish.conftest import Keys, Site, contents
from tools.publish import release
from tools.publish.errors import PublishError


def unpacked(path: Path, tmp_path: Path) -> bytes:
    target = tmp_path / "unpacked"
    run(["zstd", "-q", "-f", "-d", path, "-o", target])
    return target.read_bytes()


def test_a_first_release_is_whole_and_signed(site: Site, tmp_path: Path) -> None:
    returned = site.publish("1.0.0")
    assert site.head("candidate") == "1.0.0"
    assert site.head("stable") is None
    manifest = site.read("candidate.json")
    assert manifest == returned == site.read("1.0.0/release.json")
    assert (manifest.minimum_version, manifest.base, manifest.state_format) == (
        "1.0.0",
        "ubuntu",
        1,
    )
    assert manifest.notes == "What is new in 1.0.0."
    for role, content in contents("1.0.0").items():
        part = manifest.part(role)
        assert unpacked(site.folder / part.full.path, tmp_path) == content
        assert part.bytes == len(content)
        assert part.deltas == ()
        assert (part.uuid is None) == (role == "uki")
    files = {f"1.0.0/{role}.zst" for role in ROLES}
    assert set(site.state) == files | {"1.0.0/release.json", "candidate.json"}


def test_a_delta_makes_the_new_part_out_of_the_old_one(site: Site, tmp_path: Path) -> None:
    site.publish("1.0.0")
    site.publish("1.1.0")
    manifest = site.read("candidate.json")
    for role in ("root", "uki"):
        (delta,) = manifest.part(role).deltas
        assert delta.base == "1.0.0"
        assert delta.base_sha256 == site.read("1.0.0/release.json").part(role).sha256
        assert delta.bytes < manifest.part(role).full.bytes / 10
        base, patch, made = (tmp_path / name for name in ("base", "patch", "made"))
        base.write_bytes(contents("1.0.0")[role])
        patch.write_bytes(unpacked(site.folder / delta.path, tmp_path))
        run(["rdiff", "patch", base, patch, made])
        assert made.read_bytes() == contents("1.1.0")[role]
        made.unlink()


def test_a_delta_that_saves_little_is_not_published(site: Site) -> None:
    site.publish("1.0.0")
    manifest = site.publish("1.1.0")
    # Nothing of these is as it was.
    assert manifest.part("verity").deltas == manifest.part("signature").deltas == ()
    assert not any("verity.from" in name for name in site.state)


def test_deltas_are_from_the_three_newest_older_versions(site: Site) -> None:
    for version in ("1.0.0", "1.9.0", "1.10.0", "1.11.0"):
        site.publish(version, keep=9)
    manifest = site.publish("1.12.0", keep=9)
    bases = [delta.base for delta in manifest.part("root").deltas]
    assert bases == ["1.11.0", "1.10.0", "1.9.0"]


FAKE_RDIFF = """#!/bin/sh
real=$(PATH=/usr/local/bin:/usr/bin:/bin command -v rdiff)
"$real" "$@" || exit
case " $* " in *" patch "*) for out; do :; done; echo damaged >>"$out" ;; esac
"""


def test_a_delta_that_does_not_give_the_part_is_never_published(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish("1.0.0")
    before = site.state
    fake = tmp_path / "bin" / "rdiff"
    fake.parent.mkdir()
    fake.write_text(FAKE_RDIFF)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(PublishError, match=r"delta 1\.1\.0/root\.from-1\.0\.0.* does not give"):
        site.publish("1.1.0")
    assert site.state == before


@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing"])
def test_a_damaged_older_version_is_told(site: Site, damage: str) -> None:
    site.publish("1.0.0")
    path = site.folder / "1.0.0/root.zst"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data) if damage == "flipped" else data[:-1000])
    if damage == "missing":
        path.unlink()
    before = site.state
    with pytest.raises(PublishError, match=r"1\.0\.0/root\.zst"):
        site.publish("1.1.0")
    assert site.state == before


def test_another_content_under_an_older_manifest_is_told(site: Site, tmp_path: Path) -> None:
    site.publish("1.0.0")
    other = tmp_path / "other"
    other.write_bytes(b"something else")
    run(["zstd", "-q", "-f", other, "-o", site.folder / "1.0.0/root.zst"])
    with pytest.raises(PublishError, match=r"not what the manifest of 1\.0\.0 says"):
        site.publish("1.1.0")
    assert not (site.folder / "1.1.0").exists()


@pytest.mark.parametrize("version", ["1.0.0", "0.9.0"])
def test_what_is_not_newer_than_its_channel_is_refused(site: Site, version: str) -> None:
    site.publish("1.0.0")
    before = site.state
    with pytest.raises(PublishError, match=r"is not newer than 1\.0\.0, the candidate release"):
        site.publish(version)
    assert site.state == before


def test_a_published_version_is_never_published_again(site: Site) -> None:
    site.publish("1.0.0")
    before = site.state
    with pytest.raises(PublishError, match="exists already") as caught:
        site.publish("1.0.0", "stable")
    assert "--promote" in caught.value.hint
    assert site.state == before


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"minimum_version": "1.2.0"}, r"1\.2\.0 is newer than the release 1\.1\.0"),
        ({"minimum_version": "1.2"}, r"minimum_version '1\.2'"),
        ({"not_before": "tomorrow"}, "not_before 'tomorrow'"),
        ({"not_before": "2030-01-01T00:00:00"}, "not_before '2030-01-01T00:00:00'"),
        ({"built": "2030"}, "built '2030'"),
        ({"state_format": 0}, "state_format 0"),
        ({"notes": "long " * (1 << 18)}, "longer than 1048576 bytes"),
    ],
)
def test_wrong_values_are_told(site: Site, changes: dict[str, Any], wrong: str) -> None:
    site.publish("1.0.0")
    before = site.state
    with pytest.raises(MailsteadError, match=wrong):
        site.publish("1.1.0", **changes)
    assert site.state == before


@pytest.mark.parametrize("version", ["1.1", "v1.1.0", "1.1.0-rc1", "../1.1.0", "01.1.0"])
def test_wrong_versions_are_told(site: Site, version: str) -> None:
    slot = dataclasses.replace(site.slot("1.1.0"), version=version)
    with pytest.raises(ReleaseError, match="is not a version such as"):
        site.publish("1.1.0", slot=slot)
    assert site.state == {}


def test_the_default_minimum_is_the_oldest_one_there(site: Site) -> None:
    site.publish("1.0.0")
    site.publish("1.1.0")
    assert site.publish("1.2.0").minimum_version == "1.0.0"
    # The flashed version need not be a published one.
    assert site.publish("1.3.0", minimum_version="0.9.0").minimum_version == "0.9.0"


def test_stable_takes_the_candidates_along(site: Site) -> None:
    site.publish("1.0.0", "stable")
    assert (site.head("stable"), site.head("candidate")) == ("1.0.0", "1.0.0")
    site.publish("1.2.0")
    assert (site.head("stable"), site.head("candidate")) == ("1.0.0", "1.2.0")
    # A mended stable release between the two: candidates do not go back.
    site.publish("1.1.0", "stable")
    assert (site.head("stable"), site.head("candidate")) == ("1.1.0", "1.2.0")


def test_a_full_disk_is_told_before_anything_is_written(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish("1.0.0")
    before = site.state
    monkeypatch.setattr(release, "_SPACE_FACTOR", 1 << 40)
    with pytest.raises(MailsteadError, match=r"publishing 1\.1\.0 needs"):
        site.publish("1.1.0")
    assert site.state == before


def test_only_one_publishes_at_a_time(site: Site) -> None:
    site.publish("1.0.0")
    descriptor = os.open(site.folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(PublishError, match="another process is publishing into"):
            site.publish("1.1.0")
        with pytest.raises(PublishError, match="another process is publishing into"):
            site.promote("1.0.0")
    finally:
        os.close(descriptor)
    site.publish("1.1.0")


def test_a_file_in_place_of_the_directory_is_told(site: Site) -> None:
    site.folder.write_text("")
    with pytest.raises(PublishError, match="cannot be written"):
        site.publish("1.0.0")


@pytest.mark.parametrize("name", ["candidate.json", "1.0.0/release.json"])
def test_a_damaged_manifest_is_told(site: Site, name: str) -> None:
    site.publish("1.0.0")
    (site.folder / name).write_text("{}")
    with pytest.raises(ReleaseError, match=f"{name} cannot be read"):
        site.publish("1.1.0")


def test_old_versions_go_but_not_those_that_are_needed(site: Site) -> None:
    site.publish("1.0.0", "stable")
    site.publish("1.1.0", minimum_version="1.1.0", keep=2)
    for version in ("1.2.0", "1.3.0", "1.4.0"):
        site.publish(version, minimum_version="1.1.0", keep=2)
    # The stable one, the one to be upgraded to first, and the two newest.
    assert site.versions == ["1.0.0", "1.1.0", "1.3.0", "1.4.0"]
    site.publish("1.5.0", "stable", minimum_version="1.4.0", keep=2)
    site.publish("1.6.0", minimum_version="1.4.0", keep=2)
    # 1.4.0 itself demands 1.1.0 of whoever is older still.
    assert site.versions == ["1.1.0", "1.4.0", "1.5.0", "1.6.0"]
    assert "Removed 1.3.0." in site.lines


def test_promoting_signs_anew_and_changes_no_file(site: Site) -> None:
    site.publish("1.0.0", "stable")
    candidate = site.publish("1.1.0")
    files = {name: data for name, data in site.state.items() if not name.endswith(".json")}
    assert site.promote("1.1.0") == candidate.model_copy(update={"channel": "stable"})
    assert (site.head("stable"), site.head("candidate")) == ("1.1.0", "1.1.0")
    state = site.state
    assert state["stable.json"] == state["candidate.json"] == state["1.1.0/release.json"]
    assert {name: data for name, data in state.items() if not name.endswith(".json")} == files
    # Once more does nothing.
    site.promote("1.1.0")
    assert site.state == state


def test_a_newer_candidate_stays_when_an_older_one_is_promoted(site: Site) -> None:
    site.publish("1.0.0")
    site.publish("1.1.0")
    site.promote("1.0.0")
    assert (site.head("stable"), site.head("candidate")) == ("1.0.0", "1.1.0")
    assert site.read("1.0.0/release.json").channel == "stable"
    assert site.read("1.1.0/release.json").channel == "candidate"


@pytest.mark.parametrize(
    ("version", "wrong"),
    [("9.0.0", r"9\.0\.0 is not published"), ("1.0.0", r"not newer than 1\.1\.0, the stable")],
)
def test_what_cannot_be_promoted_is_told(site: Site, version: str, wrong: str) -> None:
    site.publish("1.0.0")
    site.publish("1.1.0", "stable")
    before = site.state
    with pytest.raises(PublishError, match=wrong):
        site.promote(version)
    assert site.state == before


def test_nothing_that_was_changed_meanwhile_is_promoted(site: Site) -> None:
    site.publish("1.0.0")
    path = site.folder / "1.0.0/release.json"
    path.write_text(path.read_text().replace("What is new", "What is bad"))
    with pytest.raises(ReleaseError, match=r"signature of key .* is wrong"):
        site.promote("1.0.0")
    assert site.head("stable") is None


def test_nobody_elses_release_is_promoted(site: Site) -> None:
    site.publish("1.0.0", keys=Keys())
    with pytest.raises(ReleaseError, match="not signed by a key that this system trusts"):
        site.promote("1.0.0")
    assert not (site.folder / "stable.json").exists()


@pytest.mark.parametrize("role", ["root", "signature"])
def test_no_release_with_a_damaged_file_is_promoted(site: Site, role: Role) -> None:
    site.publish("1.0.0")
    path = site.folder / f"1.0.0/{role}.zst"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PublishError, match=rf"{role}\.zst is missing, or not what"):
        site.promote("1.0.0")
    assert not (site.folder / "stable.json").exists()

"""A release in one file."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from firstboot.base.manifest import ROLES
from tests.unit.tools.publish.conftest import Site
from tools.publish.bundle import write_bundle
from tools.publish.errors import PublishError


def test_it_holds_the_envelope_first_and_whole_parts(site: Site, tmp_path: Path) -> None:
    site.publish("1.0.0")
    manifest = site.publish("1.1.0")
    path = write_bundle(site.folder, manifest, tmp_path)
    assert path == tmp_path / "mailstead_1.1.0.tar"
    with tarfile.open(path, "r:") as archive:
        names = archive.getnames()
        assert names == ["1.1.0/release.json", *(f"1.1.0/{role}.zst" for role in ROLES)]
        for name in names:
            file = archive.extractfile(name)
            assert file is not None
            assert file.read() == (site.folder / name).read_bytes()


def test_the_same_release_gives_the_same_bytes(site: Site, tmp_path: Path) -> None:
    manifest = site.publish("1.0.0")
    first = write_bundle(site.folder, manifest, tmp_path / "first.tar")
    second = write_bundle(site.folder, manifest, tmp_path / "second.tar")
    assert first.read_bytes() == second.read_bytes()


def test_a_failure_leaves_the_old_file(site: Site, tmp_path: Path) -> None:
    manifest = site.publish("1.0.0")
    target = tmp_path / "mailstead_1.0.0.tar"
    target.write_text("old")
    (site.folder / "1.0.0/uki.zst").unlink()
    with pytest.raises(PublishError, match=r"uki\.zst"):
        write_bundle(site.folder, manifest, target)
    assert target.read_text() == "old"
    assert not list(tmp_path.glob(".mailstead*"))


def test_a_missing_directory_is_told(site: Site, tmp_path: Path) -> None:
    manifest = site.publish("1.0.0")
    with pytest.raises(PublishError, match="No such file"):
        write_bundle(site.folder, manifest, tmp_path / "nowhere" / "bundle.tar")

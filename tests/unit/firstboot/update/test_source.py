"""Releases on disks and sticks, and bundles that somebody made by hand."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from firstboot.base.errors import UpdateRefusedError
from firstboot.base.manifest import MAX_ENVELOPE
from firstboot.system.http import MissingFileError, TransferError
from firstboot.update.source import Source, opened, opened_volume
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.update.published import Publisher


def nothing(_done: int) -> None:
    """Progress that nobody wants to see."""


@pytest.fixture
def two(publisher: Publisher) -> Publisher:
    """Two versions, of which the higher one does not come last in the alphabet."""
    publisher.publish("9.0.0")
    publisher.publish("10.0.0")
    (publisher.folder / "notes").mkdir()
    return publisher


def test_newest_in_a_folder(two: Publisher) -> None:
    with opened(two.folder) as source:
        assert b"10.0.0" in source.envelope(None)
        assert b"9.0.0" in source.envelope("9.0.0")
        with pytest.raises(MissingFileError, match=r"8\.0\.0/release\.json does not exist"):
            source.envelope("8.0.0")


def test_copies_go_on_where_they_stopped(two: Publisher, tmp_path: Path) -> None:
    wanted = (two.folder / "9.0.0/root.zst").read_bytes()
    bundle = two.bundle("9.0.0", tmp_path / "bundle")
    for place in (two.folder, bundle):
        target = tmp_path / "target"
        for before in (b"", wanted[:100], wanted, wanted + b"more"):
            target.write_bytes(before)
            with opened(place) as source:
                source.fetch("9.0.0/root.zst", target, len(wanted), nothing)
            assert target.read_bytes() == wanted


@pytest.mark.parametrize("size", [10, 1 << 30])
def test_files_of_another_size(two: Publisher, tmp_path: Path, size: int) -> None:
    bundle = two.bundle("9.0.0", tmp_path / "bundle")
    for place in (two.folder, bundle):
        with opened(place) as source, pytest.raises(TransferError, match=f"announced are {size}"):
            source.fetch("9.0.0/root.zst", tmp_path / "target", size, nothing)
    assert not (tmp_path / "target").exists()


def test_what_is_no_regular_file(two: Publisher, tmp_path: Path) -> None:
    os.mkfifo(two.folder / "9.0.0/pipe")
    (two.folder / "9.0.0/link").symlink_to("/etc/passwd")
    with opened(two.folder) as source, pytest.raises(TransferError, match="not a regular file"):
        source.fetch("9.0.0/pipe", tmp_path / "target", 10, nothing)
    with pytest.raises(UpdateRefusedError, match="symbolic links"), opened(two.folder) as source:
        source.fetch("9.0.0/link", tmp_path / "target", 10, nothing)


def test_envelope_that_is_too_long(two: Publisher) -> None:
    (two.folder / "10.0.0/release.json").write_bytes(b"x" * (MAX_ENVELOPE + 1))
    with opened(two.folder) as source, pytest.raises(TransferError, match="longer than"):
        source.envelope(None)


def test_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UpdateRefusedError, match="absent: No such file"), opened(
        tmp_path / "absent"
    ):  # fmt: skip
        pass


def test_folder_without_a_release(tmp_path: Path) -> None:
    with opened(tmp_path) as source, pytest.raises(MissingFileError, match="has no release in it"):
        source.envelope(None)


def made(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_bundle_with_a_link_in_the_place_of_a_file(tmp_path: Path) -> None:
    link = tarfile.TarInfo("2.0.0/root.zst")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    path = made(tmp_path / "bundle", (tarfile.TarInfo("2.0.0/release.json"), b"{}"), (link, b""))
    with opened(path) as source:
        assert source.envelope(None) == b"{}"
        with pytest.raises(MissingFileError, match=r"does not contain 2\.0\.0/root\.zst"):
            source.fetch("2.0.0/root.zst", tmp_path / "target", 10, nothing)


def test_bundle_packed_with_dots(tmp_path: Path) -> None:
    path = made(tmp_path / "bundle", (tarfile.TarInfo("./2.0.0/release.json"), b"{}"))
    with opened(path) as source:
        assert source.envelope(None) == b"{}"


@pytest.mark.parametrize("content", [b"", b"junk" * 1000])
def test_what_is_no_bundle(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bundle"
    path.write_bytes(content)
    with pytest.raises(UpdateRefusedError), opened(path) as source:
        source.envelope(None)


def test_bundle_whose_end_is_missing(two: Publisher, tmp_path: Path) -> None:
    path = two.bundle("9.0.0", tmp_path / "bundle")
    size = (two.folder / "9.0.0/root.zst").stat().st_size
    with tarfile.open(path) as archive:
        middle = archive.getmember("9.0.0/root.zst").offset_data + 100
    path.write_bytes(path.read_bytes()[:middle])
    with pytest.raises(UpdateRefusedError, match="bundle"), opened(path) as source:
        source.fetch("9.0.0/root.zst", tmp_path / "target", size, nothing)


STICK: dict[str, str | None] = {
    "path": "/dev/sda1", "label": "MAILSTEAD", "parttype": None, "fstype": "vfat",
    "mountpoint": None,
}  # fmt: skip


def on_stick(programs: FakePrograms, folder: Path, version: str | None, runtime: Path) -> bytes:
    programs.lsblk({**STICK, "path": "/dev/vda1", "label": "other"}, STICK)
    programs.mount_copies(("/dev/sda1", folder))
    with opened_volume(version, runtime) as source:
        return found(source, version)


def found(source: Source, version: str | None) -> bytes:
    return source.envelope(version)


def test_bundle_on_a_stick(programs: FakePrograms, two: Publisher, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    for version in ("9.0.0", "10.0.0"):
        two.bundle(version, stick / f"mailstead_{version}.tar")
    assert b"10.0.0" in on_stick(programs, stick, None, tmp_path / "run")
    assert b"9.0.0" in on_stick(programs, stick, "9.0.0", tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_published_directory_on_a_stick(
    programs: FakePrograms, two: Publisher, tmp_path: Path
) -> None:
    assert b"10.0.0" in on_stick(programs, two.folder, None, tmp_path / "run")


def test_stick_without_a_release(programs: FakePrograms, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    with pytest.raises(UpdateRefusedError, match="no volume labelled MAILSTEAD has a release"):
        on_stick(programs, tmp_path / "stick", None, tmp_path / "run")

"""Disks and seed volumes, made by the real qemu-img and mtools where they are installed."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from firstboot.base.run import run
from tools.vm.disk import Disk, inspect_image
from tools.vm.errors import VirtualMachineError
from tools.vm.seedvolume import (
    ESP_TYPE,
    copy_sparse,
    find_esp,
    make_seed_volume,
    read_esp_file,
    write_esp_file,
)

MIB = 1 << 20

needs_qemu_img = pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="needs qemu-img (package qemu-utils)"
)
needs_mtools = pytest.mark.skipif(
    shutil.which("mcopy") is None, reason="needs mcopy (package mtools)"
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A raw image of 1 MiB with some content."""
    path = tmp_path / "image.raw"
    path.write_bytes(b"content".ljust(MIB, b"\0"))
    return path


@needs_qemu_img
def test_overlay_grows_and_leaves_the_image_alone(image: Path, tmp_path: Path) -> None:
    before = image.read_bytes()
    disk = Disk.create(tmp_path / "disk", image, size=8 * MIB)
    assert inspect_image(disk.path) == ("qcow2", 8 * MIB)
    run(["qemu-io", "-f", "qcow2", "-c", "write -P 1 0 64k", disk.path])
    assert image.read_bytes() == before


@needs_qemu_img
def test_image_may_go_while_its_disk_is_in_use(image: Path, tmp_path: Path) -> None:
    """As builds of other checkouts have it, which share the cache."""
    disk = Disk.create(tmp_path / "disk", image)
    image.unlink()
    done = run(["qemu-io", "-f", "qcow2", "-c", f"read -P {ord('c')} 0 1", disk.path])
    assert "verification failed" not in done.stdout


@needs_qemu_img
def test_overlay_is_as_big_as_its_image_at_least(image: Path, tmp_path: Path) -> None:
    assert inspect_image(Disk.create(tmp_path / "same", image).path) == ("qcow2", MIB)
    with pytest.raises(VirtualMachineError, match="is smaller than its image"):
        Disk.create(tmp_path / "small", image, size=MIB - 512)


@needs_qemu_img
def test_disk_is_never_made_over_another(image: Path, tmp_path: Path) -> None:
    Disk.create(tmp_path / "disk", image)
    with pytest.raises(VirtualMachineError, match=r"a disk in .* already"):
        Disk.create(tmp_path / "disk", image)


@needs_qemu_img
def test_clone_has_the_board_too_and_freezes_its_origin(image: Path, tmp_path: Path) -> None:
    disk = Disk.create(tmp_path / "disk", image)
    disk.variables.write_bytes(b"variables")
    disk.tpm.mkdir()
    (disk.tpm / "tpm2-00.permall").write_bytes(b"state")
    clone = disk.clone(tmp_path / "clone")
    assert disk.frozen
    assert not clone.frozen
    assert clone.variables.read_bytes() == b"variables"
    assert (clone.tpm / "tpm2-00.permall").read_bytes() == b"state"
    moved = disk.clone(tmp_path / "moved", same_board=False)
    assert not moved.variables.exists()
    assert not moved.tpm.exists()


def test_missing_image_is_told(tmp_path: Path) -> None:
    with pytest.raises(VirtualMachineError, match=r"missing\.raw: No such file"):
        Disk.create(tmp_path / "disk", tmp_path / "missing.raw")


@needs_mtools
def test_seed_volume_holds_the_settings_and_is_labelled(tmp_path: Path) -> None:
    volume = make_seed_volume(tmp_path / "seed.img", b"version: 1\n", others={"note.txt": b"hi"})
    assert run(["mtype", "-i", volume, "::mailstead.yaml"]).stdout == "version: 1\n"
    assert run(["mtype", "-i", volume, "::note.txt"]).stdout == "hi"
    assert "MAILSTEAD" in run(["mlabel", "-s", "-i", volume, "::"]).stdout
    make_seed_volume(volume, b"version: 2\n")
    assert run(["mtype", "-i", volume, "::mailstead.yaml"]).stdout == "version: 2\n"


@pytest.fixture
def partitioned(tmp_path: Path) -> Path:
    """A raw image with a GPT of two entries, the second being an ESP at 1 MiB."""
    header = b"EFI PART" + bytes(64) + struct.pack("<QII", 2, 2, 128) + bytes(4)
    other = bytes(range(16)) + bytes(16) + struct.pack("<QQ", 34, 40) + bytes(80)
    esp = ESP_TYPE.bytes_le + bytes(16) + struct.pack("<QQ", 2048, 10239) + bytes(80)
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.write(bytes(512) + header.ljust(512, b"\0") + other + esp)
        file.truncate(6 * MIB)
    return path


def test_esp_is_found_by_its_type(partitioned: Path, image: Path) -> None:
    assert find_esp(partitioned) == MIB
    with pytest.raises(VirtualMachineError, match="has no GPT"):
        find_esp(image)


@needs_mtools
def test_file_on_the_esp_of_a_copy(partitioned: Path, tmp_path: Path) -> None:
    run(["mformat", "-T", "8192", "-i", f"{partitioned}@@{MIB}", "::"])
    copy = copy_sparse(partitioned, tmp_path / "copy.raw")
    for content in (b"version: 1\n", b"version: 2\n"):
        write_esp_file(copy, "mailstead/mailstead.yaml", content)
        assert read_esp_file(copy, "mailstead/mailstead.yaml") == content
    assert copy.stat().st_size == partitioned.stat().st_size
    assert copy.read_bytes() != partitioned.read_bytes()

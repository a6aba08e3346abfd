"""Makes what a seed comes on: a FAT volume labelled MAILSTEAD, or a file on an image's ESP."""

from __future__ import annotations

import os
import struct
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from firstboot.base.run import run
from tools.vm.errors import VirtualMachineError

LABEL = "MAILSTEAD"
SETTINGS = "mailstead.yaml"
SECTOR = 512
VOLUME_SECTORS = 8192  # 4 MiB
ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")  # UEFI specification 2.10, table 5-7

# mtools' own check refuses partitions whose geometry it does not like.
_ENVIRONMENT = {"MTOOLS_SKIP_CHECK": "1", "PATH": os.environ.get("PATH", os.defpath)}


def make_seed_volume(
    path: Path, settings: bytes, *, label: str = LABEL, others: Mapping[str, bytes] | None = None
) -> Path:
    """Make (or make anew) a FAT volume without partitions that holds mailstead.yaml.

    `others`: more files by name. Returns `path`.
    """
    path.unlink(missing_ok=True)
    size = ["-T", str(VOLUME_SECTORS)]
    run(["mformat", "-C", "-i", path, "-v", label, *size, "::"], env=_ENVIRONMENT)
    for name, data in {SETTINGS: settings, **(others or {})}.items():
        _write(str(path), name, data)
    return path


def write_esp_file(disk: Path, name: str, data: bytes) -> None:
    """Write a file into the ESP of a raw disk image, making its folders.

    Give it a copy (`copy_sparse`): the image is changed.
    """
    target = f"{disk}@@{find_esp(disk)}"
    for parent in reversed(PurePosixPath(name).parents[:-1]):
        # A folder that exists is an error to mmd, and fine to us: mcopy tells if it is not there.
        run(["mmd", "-D", "s", "-i", target, f"::{parent}"], check=False, env=_ENVIRONMENT)
    _write(target, name, data)


def read_esp_file(disk: Path, name: str) -> bytes:
    """The content of a file (text) in the ESP of a raw disk image."""
    target = f"{disk}@@{find_esp(disk)}"
    return run(["mtype", "-i", target, f"::{name}"], env=_ENVIRONMENT).stdout.encode()


def copy_sparse(image: Path, copy: Path) -> Path:
    """Copy a raw image for changing it; holes and shared blocks cost nothing. Returns `copy`."""
    run(["cp", "--reflink=auto", "--sparse=always", image, copy])
    return copy


def find_esp(disk: Path) -> int:
    """Where the ESP of a raw image with GPT begins, in bytes.

    Layout from the UEFI specification 2.10, section 5.3. Raises VirtualMachineError without GPT
    or without ESP.
    """
    with disk.open("rb") as file:
        file.seek(SECTOR)
        header = file.read(92)
        if header[:8] != b"EFI PART":
            raise VirtualMachineError(f"{disk} has no GPT", "Is it a raw disk image?")
        table, count, size = struct.unpack_from("<QII", header, 72)
        for number in range(count):
            file.seek(table * SECTOR + number * size)
            entry = file.read(size)
            if uuid.UUID(bytes_le=entry[:16]) == ESP_TYPE:
                (first,) = struct.unpack_from("<Q", entry, 32)
                return int(first) * SECTOR
    raise VirtualMachineError(f"{disk} has no EFI system partition", "Is it one of our images?")


def _write(target: str, name: str, data: bytes) -> None:
    run(["mcopy", "-o", "-i", target, "-", f"::{name}"], stdin=data, env=_ENVIRONMENT)

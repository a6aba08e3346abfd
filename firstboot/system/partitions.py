"""The partitions of the disk that the running system is on: sysfs(5) for the disk, lsblk(8)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstboot.base.errors import MachineError
from firstboot.base.run import run

BLOCK_DEVICES = Path("/sys/dev/block")
_COLUMNS = "PATH,PARTLABEL,PARTTYPE,SIZE"


@dataclass(frozen=True)
class Partition:
    """`label` and `type` are those of the GPT, `size` is in bytes."""

    path: Path
    label: str
    type: str
    size: int


def root_disk(device: int | None = None, block_devices: Path = BLOCK_DEVICES) -> Path:
    """The disk below the root file system (or below device number `device`).

    Another disk with Mailstead on it, such as the stick that it was installed from, has partitions
    with the same names: only the kernel knows which ones this system runs from.
    """
    number = Path("/").stat().st_dev if device is None else device
    node = (block_devices / f"{os.major(number)}:{os.minor(number)}").resolve()
    while below := sorted((node / "slaves").glob("*")):
        node = below[0].resolve()
    if (node / "partition").exists():
        node = node.parent
    if not (node / "dev").exists():
        raise MachineError("the disk that this system runs from is unknown")
    return Path("/dev", node.name)


def list_partitions(disk: Path) -> tuple[Partition, ...]:
    """All partitions of a disk; MachineError when lsblk does not list them."""
    words = ["lsblk", "--json", "--bytes", "--list", "--output", _COLUMNS, str(disk)]
    listed = run(words, timeout=60)
    try:
        entries = json.loads(listed.stdout)["blockdevices"]
        return tuple(_partition(entry) for entry in entries if entry.get("parttype"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MachineError(f"lsblk gave no list of the partitions of {disk}") from None


def _partition(entry: dict[str, Any]) -> Partition:
    # Old versions of lsblk print numbers as text.
    return Partition(
        Path(entry["path"]), entry["partlabel"] or "", entry["parttype"].lower(), int(entry["size"])
    )

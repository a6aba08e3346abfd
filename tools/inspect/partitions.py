"""Reads the GUID partition table of a raw disk image.

Layout from the UEFI specification 2.10, section 5.3; types from the Discoverable Partitions
Specification. Python's `struct` is enough, and hosts often lack a partitioning program.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

from tools.inspect.errors import InspectError

SECTOR = 512
ESP = "esp"
ROOT = "root-x86-64"
ROOT_VERITY = "root-x86-64-verity"
_TYPES = {
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": ESP,
    "21686148-6449-6e6f-744e-656564454649": "bios-boot",
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": ROOT,
    "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5": ROOT_VERITY,
    "41092b05-9fc8-4523-994f-2def0408b176": "root-x86-64-verity-signature",
    "0fc63daf-8483-4772-8e79-3d69d8477de4": "linux-generic",
}
_SIGNATURE = b"EFI PART"
# Signature, revision, header size, CRC, reserved, own and other copy, usable sectors, disk GUID,
# first sector, number and size of the entries, their CRC.
_HEADER = struct.Struct("<8s4sII4xQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQ8x72s")
_MAXIMUM_TABLE = 1 << 20
_HINT = "Give it a disk image that `tools/forge build` made: mailstead_VERSION.raw or .raw.zst."


@dataclass(frozen=True)
class Partition:
    """One partition. `type` is its name in systemd's terms, its GUID where it has none.

    `start` and `bytes` are in bytes.
    """

    number: int
    type: str
    label: str
    uuid: str
    start: int
    bytes: int


def read_partitions(image: Path) -> tuple[Partition, ...]:
    """The partitions of a raw image in the order of the table.

    Raises InspectError when there is no table, when its checksums are wrong, or when the file ends
    before the disk that the table describes.
    """
    try:
        with image.open("rb") as file:
            start = file.read(SECTOR + _HEADER.size)
            size = file.seek(0, 2)
            header = start[SECTOR:]
            if len(header) < _HEADER.size or header[:8] != _SIGNATURE:
                raise InspectError(f"{image} is not a disk image: it has no GPT", _HINT)
            file.seek(0)
            return _read_table(image, file.read(_table_end(header)), size)
    except OSError as error:
        raise InspectError(f"{image} cannot be read: {error.strerror}", _HINT) from None


def find(partitions: tuple[Partition, ...], kind: str, image: Path) -> Partition:
    """The first partition of a type. Raises InspectError when there is none."""
    for partition in partitions:
        if partition.type == kind:
            return partition
    raise InspectError(f"{image} has no partition of type {kind}", _HINT)


def _table_end(header: bytes) -> int:
    first, count, size = map(int, struct.unpack_from("<QII", header, 72))
    return min(first * SECTOR + count * size, _MAXIMUM_TABLE)


def _read_table(image: Path, disk: bytes, size: int) -> tuple[Partition, ...]:
    """Take the table out of `disk`, the first bytes of an image of `size` bytes."""
    header = disk[SECTOR : SECTOR + _HEADER.size]
    fields = _HEADER.unpack(header)
    header_size, header_crc, other_copy = fields[2], fields[3], fields[5]
    first, count, entry_size, table_crc = fields[9:]
    table = disk[first * SECTOR : first * SECTOR + count * entry_size]
    # The header's own checksum counts as zero in it.
    checked = header[:16] + bytes(4) + header[20:] + disk[SECTOR + _HEADER.size :]
    whole = (
        entry_size >= _ENTRY.size
        and len(table) == count * entry_size
        and zlib.crc32(checked[:header_size]) == header_crc
        and zlib.crc32(table) == table_crc
    )
    if not whole:
        raise InspectError(f"the partition table of {image} is damaged", "Fetch or build it anew.")
    # The other copy of the table is in the very last sector.
    needed = (other_copy + 1) * SECTOR
    if size < needed:
        raise InspectError(
            f"{image} is truncated: its partition table describes a disk of {needed} bytes, "
            f"and the file has {size}",
            "Copy or download it again.",
        )
    entries = (table[at : at + entry_size] for at in range(0, len(table), entry_size))
    found = (_partition(number, entry) for number, entry in enumerate(entries, start=1))
    return tuple(partition for partition in found if partition)


def _partition(number: int, entry: bytes) -> Partition | None:
    kind, own, first, last, label = _ENTRY.unpack_from(entry)
    if kind == bytes(16):
        return None
    type_guid = str(uuid.UUID(bytes_le=kind))
    return Partition(
        number=number,
        type=_TYPES.get(type_guid, type_guid),
        label=label.decode("utf-16-le", errors="replace").rstrip("\0"),
        uuid=str(uuid.UUID(bytes_le=own)),
        start=first * SECTOR,
        bytes=(last - first + 1) * SECTOR,
    )

"""What is on the disk of a machine that runs: its partitions, both slots, the ways into the state.

All of it is read inside, but not with the code under test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from tools.vm import Machine

MIB = 1 << 20
SECONDS = 120.0
_COLUMNS = ("path", "start", "size", "parttype", "partlabel", "partuuid")
_STATE = "/dev/disk/by-partlabel/mailstead-state"
# Run inside.
_HASH = """
import hashlib, json, os, sys
hashes = []
for path, start, size in json.loads(sys.argv[1]):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        # As it is on the disk itself, whichever device it was written through.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(start)
        while size:
            chunk = file.read(min(size, 1 << 20))
            assert chunk, path
            digest.update(chunk)
            size -= len(chunk)
    hashes.append(digest.hexdigest())
print(json.dumps(hashes))
"""

# A file or a partition, a first byte, and how many.
Span: TypeAlias = tuple[str, int, int]


@dataclass(frozen=True)
class Partition:
    """As the GPT has it: `start` in sectors, `size` in bytes."""

    path: str
    start: int
    size: int
    type: str
    label: str
    uuid: str


@dataclass(frozen=True)
class Slots:
    """The partitions of the disk: those that `version` runs from, the other slot's, all others."""

    own: tuple[Partition, ...]
    other: tuple[Partition, ...]
    rest: tuple[Partition, ...]

    @property
    def places(self) -> list[tuple[str, int, int, str]]:
        """The table without the names that an upgrade gives."""
        every = (*self.own, *self.other, *self.rest)
        return sorted((part.path, part.start, part.size, part.type) for part in every)

    @property
    def root(self) -> Partition:
        """Where an upgrade writes the root: no other part of a slot is as large."""
        return max(self.other, key=lambda part: part.size)


def read_slots(machine: Machine, version: str) -> Slots:
    """The partition table, while the slot of `version` is there; each slot has three partitions."""
    argv = ["lsblk", "--json", "--bytes", "--list", "--output", ",".join(_COLUMNS)]
    listed = json.loads(machine.guest.run(argv).stdout)["blockdevices"]
    found = [
        Partition(*(entry[name] for name in _COLUMNS)) for entry in listed if entry["parttype"]
    ]
    labels = {f"mailstead_{version}{suffix}" for suffix in ("", "_verity", "_sig")}
    own = tuple(part for part in found if part.label in labels)
    types = {part.type for part in own}
    other = tuple(part for part in found if part.type in types and part not in own)
    assert (len(own), len(other)) == (3, 3), found
    return Slots(own, other, tuple(part for part in found if part.type not in types))


def sample(parts: Iterable[Partition]) -> list[Span]:
    """The first 16 MiB and the last of each partition.

    That is the whole of all but the root: the rest of that takes an emulated machine too long.
    """
    spans = []
    for part in parts:
        last = min(part.size, MIB)
        spans += [(part.path, 0, min(part.size, 16 * MIB)), (part.path, part.size - last, last)]
    return spans


def hash_spans(machine: Machine, spans: list[Span]) -> list[str]:
    """SHA-256 of each; all of it must be there."""
    argv = ["/usr/bin/python3", "-I", "-c", _HASH, json.dumps(spans)]
    hashes: list[str] = json.loads(machine.guest.run(argv, timeout=SECONDS).stdout)
    return hashes


def list_esp(machine: Machine) -> list[str]:
    """Every file of the EFI system partition with its size."""
    # The first to look mounts it.
    argv = ["sh", "-c", "cd /efi && find . -type f -exec stat -c '%n %s' {} +"]
    return sorted(machine.guest.run(argv).stdout.splitlines())


@dataclass(frozen=True)
class Encryption:
    """The state partition: its LUKS header's UUID, and how many keys open it."""

    uuid: str
    keyslots: int


def read_encryption(machine: Machine) -> Encryption:
    uuid = machine.guest.run(["cryptsetup", "luksUUID", _STATE]).stdout.strip()
    header = machine.guest.run(["cryptsetup", "luksDump", "--dump-json-metadata", _STATE]).stdout
    return Encryption(uuid, len(json.loads(header)["keyslots"]))


@dataclass(frozen=True)
class DiskState:
    """All of it that takes no long time; `samples` are of the slot that does not run."""

    slots: Slots
    samples: list[str]
    esp: list[str]
    encryption: Encryption


def read_disk(machine: Machine, version: str) -> DiskState:
    """What is on the disk now, while the slot of `version` is there."""
    slots = read_slots(machine, version)
    samples = hash_spans(machine, sample(slots.other))
    return DiskState(slots, samples, list_esp(machine), read_encryption(machine))

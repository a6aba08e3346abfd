"""Builds small disk images of the shape that mkosi gives ours, byte by byte."""

from __future__ import annotations

import hashlib
import json
import struct
import uuid
import zlib
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
BLOCK = 4096
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
ROOT = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
VERITY = "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"
SIGNATURE = "41092b05-9fc8-4523-994f-2def0408b176"
SALT = bytes(range(32))
OS_RELEASE = 'PRETTY_NAME="Ubuntu 26.04 LTS"\nIMAGE_VERSION="0.1.0"\n# a comment\n'
ANOTHER_HASH = hashlib.sha256(b"another build").hexdigest()
PACKAGES = {"bash": "5.3-2", "docker.io": "29.1.3"}
DIGESTS = {"redis": "a" * 64, "mta": "b" * 64}


def gpt(partitions: list[tuple[str, str, str, bytes]]) -> bytes:
    """A disk with the partitions (type, UUID, label, content), from 1 MiB on; both copies."""
    entries, content, sector = b"", b"", 2048
    for kind, own, label, given in partitions:
        data = given + bytes(-len(given) % BLOCK)
        last = sector + len(data) // SECTOR - 1
        guids = uuid.UUID(kind).bytes_le + uuid.UUID(own).bytes_le
        name = label.encode("utf-16-le").ljust(72, b"\0")
        entries += guids + struct.pack("<QQQ", sector, last, 0) + name
        content += data
        sector = last + 1
    table = entries.ljust(128 * 128, b"\0")
    end = sector + 33
    fields = (1, end - 1, 34, sector - 1, bytes(16), 2, 128, 128, zlib.crc32(table))
    rest = struct.pack("<QQQQ16sQIII", *fields)
    header = struct.pack("<8sIII4x", b"EFI PART", 0x10000, 92, 0) + rest
    header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
    disk = bytes(SECTOR) + header.ljust(SECTOR, b"\0") + table
    return disk.ljust(2048 * SECTOR, b"\0") + content + table + header.ljust(SECTOR, b"\0")


def uki(sections: dict[str, bytes]) -> bytes:
    """A PE file with the sections, each padded to 512 bytes as linkers do."""
    start = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, 16, 0) + bytes(16)
    table, content, offset = b"", b"", 2048
    for name, data in sections.items():
        stored = data + bytes(-len(data) % SECTOR)
        place = struct.pack("<IIII", len(data), 0, len(stored), offset)
        table += name.encode().ljust(8, b"\0") + place + bytes(16)
        content += stored
        offset += len(stored)
    return (start + coff + table).ljust(2048, b"\0") + content


def hash_tree(data: bytes, algorithm: str = "sha256") -> tuple[bytes, str]:
    """The verity partition of `data` (superblock and tree) and the root hash."""

    def digests(blocks: bytes) -> bytes:
        pieces = (blocks[at : at + BLOCK] for at in range(0, len(blocks), BLOCK))
        return b"".join(hashlib.new(algorithm, SALT + piece).digest() for piece in pieces)

    levels: list[bytes] = []
    current = digests(data)
    while len(current) > hashlib.new(algorithm).digest_size:
        level = current + bytes(-len(current) % BLOCK)
        levels.insert(0, level)
        current = digests(level)
    numbers = (BLOCK, BLOCK, len(data) // BLOCK, len(SALT))
    names = (b"verity\0\0", 1, 1, bytes(16), algorithm.encode())
    superblock = struct.pack("<8sII16s32sIIQH6x256s168x", *names, *numbers, SALT)
    return superblock.ljust(BLOCK, b"\0") + b"".join(levels), current.hex()


def signature(root_hash: str) -> bytes:
    """A signature partition (Discoverable Partitions Specification) that nobody has signed."""
    text = {"rootHash": root_hash, "certificateFingerprint": "f" * 64, "signature": "AAAA"}
    return json.dumps(text).encode().ljust(BLOCK, b"\0")


def release(images: dict[str, str], version: str = "0.1.0", keys: str = "release") -> str:
    """A release manifest; `images` are manifest digests (64 digits) by name."""
    described = {
        name: {
            "reference": f"mailstead/{name}:{digest[:12]}",
            "manifest": f"sha256:{digest}",
            "config": f"sha256:{'c' * 64}",
            "bytes": 90 << 20,
        }
        for name, digest in images.items()
    }
    about = {"version": version, "base": "ubuntu", "commit": "f00", "built": "2026-01-01T00:00:00Z"}
    return json.dumps({"format": 1, **about, "keys": keys, "images": described})


def dpkg_status(packages: dict[str, str]) -> str:
    """dpkg's database, with one package that was removed."""
    stanzas = [
        f"Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n"
        f"Description: text\n Version: not this one\n"
        for name, version in packages.items()
    ]
    gone = "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n"
    return "\n".join([*stanzas, gone])


@dataclass
class Sample:
    """An image to be: change it, then `write` it. The fake programs find its files beside it."""

    folder: Path
    files: dict[str, str] = field(
        default_factory=lambda: {
            "/usr/lib/os-release": OS_RELEASE,
            "/usr/share/mailstead/release.json": release(DIGESTS),
            "/var/lib/dpkg/status": dpkg_status(PACKAGES),
        }
    )
    options: str = "quiet console=tty0"
    data: bytes = b"".join(bytes([number % 251]) * BLOCK for number in range(300))
    kernels: tuple[str, ...] = ("mailstead_0.1.0.efi",)
    paired: bool = True
    version: str = "0.1.0"

    @property
    def root_hash(self) -> str:
        return hash_tree(self.data)[1]

    def slot(self) -> dict[str, tuple[str, str, str, bytes]]:
        """The partitions of the slot by role: type, UUID, label and content."""
        tree, root_hash = hash_tree(self.data)
        own = root_hash if self.paired else ANOTHER_HASH
        name = f"mailstead_{self.version}"
        return {
            "verity": (VERITY, str(uuid.UUID(own[32:])), f"{name}_verity", tree),
            "signature": (SIGNATURE, str(uuid.UUID(int=2)), f"{name}_sig", signature(root_hash)),
            "root": (ROOT, str(uuid.UUID(own[:32])), name, self.data),
        }

    def disk(self) -> bytes:
        """The bytes of the raw image."""
        return gpt([(ESP, str(uuid.UUID(int=1)), "esp", bytes(BLOCK)), *self.slot().values()])

    def kernel(self) -> bytes:
        """The bytes of its UKI."""
        command_line = f"roothash={self.root_hash} {self.options}\0".encode()
        parts = {".linux": b"L" * 700, ".initrd": b"I" * 300, ".uname": b"7.0.0-1-generic"}
        return uki({**parts, ".cmdline": command_line})

    def write(self, name: str = "mailstead_0.1.0.raw") -> Path:
        """Write the image, and what the fake programs will say is in it."""
        image = self.folder / name
        image.write_bytes(self.disk())
        beside = self.folder / f"{name}.content"
        esp = beside / "esp"
        esp.mkdir(parents=True)
        for kernel in self.kernels:
            (esp / kernel).write_bytes(self.kernel())
        for path, text in self.files.items():
            file = beside / "root" / path.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return image


def compress(image: Path) -> Path:
    """What the fake zstd can unpack: the magic number and then the image as it is."""
    packed = image.with_name(f"{image.name}.zst")
    packed.write_bytes(bytes.fromhex("28b52ffd") + image.read_bytes())
    return packed

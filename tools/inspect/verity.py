"""Computes the dm-verity hash tree of a partition anew, as the kernel will when it reads it.

Formats: the kernel's Documentation/admin-guide/device-mapper/verity.rst, and for the superblock
cryptsetup's "DMVerity" (on-disk format, version 1). Hashing is all there is to it, so that no host
needs veritysetup, which wants a package and often root.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tools.inspect.errors import InspectError
from tools.inspect.partitions import Partition

# Signature, version, type, UUID, algorithm, block sizes, number of data blocks, salt's size, salt.
_SUPERBLOCK = struct.Struct("<8sII16s32sIIQH6x256s168x")
_SIGNATURE = b"verity\0\0"
# What cryptsetup takes.
_BLOCK_SIZES = frozenset(1 << power for power in range(9, 20))
_CHUNK_BLOCKS = 256


@dataclass(frozen=True)
class _Tree:
    """Parameters of a hash tree; sizes in bytes."""

    algorithm: str
    data_block: int
    hash_block: int
    data_blocks: int
    salt: bytes

    def digests(self, blocks: Iterator[bytes]) -> bytes:
        """The digests of blocks, one after the other, padded as in the tree."""
        salted = hashlib.new(self.algorithm, self.salt)
        # In a block of hashes each takes a power of two.
        width = 1 << (salted.digest_size - 1).bit_length()
        found = bytearray()
        for block in blocks:
            digest = salted.copy()
            digest.update(block)
            found += digest.digest().ljust(width, b"\0")
        return bytes(found)


def find_damage(image: Path, data: Partition, hashes: Partition, root_hash: str) -> str:
    """What is wrong with `data` under its root hash (hexadecimal), "" when every byte is right.

    Reads the whole partition. Raises InspectError when `hashes` is not a hash tree.
    """
    with image.open("rb") as file:
        file.seek(hashes.start)
        tree = _read_superblock(file.read(_SUPERBLOCK.size))
        if tree.data_blocks * tree.data_block > data.bytes:
            return f"partition {data.number} is smaller than its hash tree says"
        leaves = tree.digests(_blocks(file, data.start, tree.data_blocks, tree.data_block))
        levels, root = _levels(tree, leaves)
        size = tree.hash_block
        # The tree begins with the block after the superblock; the level below the root is first.
        file.seek(hashes.start + -(-_SUPERBLOCK.size // size) * size)
        stored = [file.read(len(level)) for level in reversed(levels)][::-1]
    if root == root_hash and stored == levels:
        return ""
    if levels and stored[0] != levels[0]:
        block = _first_difference(tree, stored[0], levels[0])
        return (
            f"partition {data.number} does not match its hash tree, first in the block at byte "
            f"{block * tree.data_block}"
        )
    if stored != levels:
        return f"partition {hashes.number}, the hash tree, is damaged"
    return f"partition {data.number} has the root hash {root}"


def _read_superblock(block: bytes) -> _Tree:
    try:
        signature, version, kind, _uuid, name, data_block, hash_block, blocks, length, salt = (
            _SUPERBLOCK.unpack(block)
        )
        algorithm = name.rstrip(b"\0").decode("ascii")
        usable = signature == _SIGNATURE and (version, kind) == (1, 1)
        sizes = data_block in _BLOCK_SIZES and hash_block in _BLOCK_SIZES
        if not usable or not sizes or hashlib.new(algorithm).digest_size < 1:
            raise ValueError
    except (struct.error, ValueError):
        raise InspectError(
            "the verity partition holds no hash tree that can be read", "Build the image anew."
        ) from None
    return _Tree(algorithm, data_block, hash_block, blocks, salt[:length])


def _blocks(file: BinaryIO, start: int, count: int, size: int) -> Iterator[bytes]:
    file.seek(start)
    for at in range(0, count, _CHUNK_BLOCKS):
        chunk = memoryview(file.read(min(_CHUNK_BLOCKS, count - at) * size))
        for offset in range(0, len(chunk), size):
            yield bytes(chunk[offset : offset + size])


def _levels(tree: _Tree, leaves: bytes) -> tuple[list[bytes], str]:
    """The blocks of each level from the leaves up, and the root hash in hexadecimal."""
    size, levels, digests = tree.hash_block, [], leaves
    width = len(leaves) // max(tree.data_blocks, 1)
    while len(digests) > width:
        level = digests.ljust(-(-len(digests) // size) * size, b"\0")
        levels.append(level)
        digests = tree.digests(level[at : at + size] for at in range(0, len(level), size))
    return levels, digests[: hashlib.new(tree.algorithm).digest_size].hex()


def _first_difference(tree: _Tree, stored: bytes, computed: bytes) -> int:
    """The number of the first data block whose digest is another one."""
    per_block = len(tree.digests(iter([b""])))
    for block in range(tree.data_blocks):
        at = slice(block * per_block, (block + 1) * per_block)
        if stored[at] != computed[at]:
            return block
    return 0

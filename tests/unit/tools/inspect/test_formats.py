"""Partition table, UKI, hash tree and package database: read right, and never a traceback."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.unit.tools.inspect.samples import BLOCK, ESP, SECTOR, Sample, gpt, hash_tree, uki
from tools.inspect.errors import InspectError
from tools.inspect.partitions import Partition, find, read_partitions
from tools.inspect.root import parse_os_release, parse_packages
from tools.inspect.uki import read_uki
from tools.inspect.verity import find_damage

MIB = 1 << 20


def _file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(content)
    return path


def test_partitions_are_read_with_type_label_uuid_and_place(tmp_path: Path) -> None:
    own = "00000000-0000-0000-0000-000000000001"
    unknown = "11111111-2222-3333-4444-555555555555"
    disk = gpt([(ESP, own, "esp", bytes(BLOCK)), (unknown, own, "größer", bytes(3 * BLOCK))])
    assert read_partitions(_file(tmp_path, disk)) == (
        Partition(1, "esp", "esp", own, MIB, BLOCK),
        Partition(2, unknown, "größer", own, MIB + BLOCK, 3 * BLOCK),
    )


def test_a_missing_kind_of_partition_is_told(tmp_path: Path) -> None:
    image = _file(tmp_path, gpt([]))
    with pytest.raises(InspectError, match="has no partition of type esp"):
        find(read_partitions(image), "esp", image)


@pytest.mark.parametrize("content", [b"", b"QFI\xfb" * 600, bytes(4096)])
def test_what_is_no_disk_image_is_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InspectError, match="no GPT") as caught:
        read_partitions(_file(tmp_path, content))
    assert "tools/forge build" in caught.value.hint


def test_a_truncated_image_is_told_with_both_sizes(tmp_path: Path) -> None:
    disk = gpt([(ESP, ESP, "esp", bytes(BLOCK))])
    short = len(disk) - 1
    with pytest.raises(InspectError, match=f"truncated: .* {len(disk)} bytes, .* has {short}"):
        read_partitions(_file(tmp_path, disk[:-1]))


def test_each_changed_byte_of_header_and_table_is_noticed(tmp_path: Path) -> None:
    disk = bytearray(gpt([(ESP, ESP, "esp", bytes(BLOCK))]))
    for at in [*range(SECTOR + 8, SECTOR + 92), 1024, 1024 + 127, 1024 + 128 * 127]:
        changed = bytearray(disk)
        changed[at] ^= 0x5A
        with pytest.raises(InspectError):
            read_partitions(_file(tmp_path, bytes(changed)))


def test_a_uki_is_taken_apart(tmp_path: Path, sample: Sample) -> None:
    found = read_uki(_file(tmp_path, sample.kernel()))
    assert found.sections["linux"] == 700
    assert found.sections["initrd"] == 300
    assert found.kernel == "7.0.0-1-generic"
    assert found.command_line == f"roothash={sample.root_hash} quiet console=tty0"
    assert found.root_hash == sample.root_hash


def test_a_command_line_may_name_no_root_hash(tmp_path: Path) -> None:
    parts = {".linux": b"x", ".initrd": b"x", ".cmdline": b"quiet"}
    assert read_uki(_file(tmp_path, uki(parts))).root_hash == ""


def test_files_that_are_no_uki_are_told(tmp_path: Path, sample: Sample) -> None:
    whole = sample.kernel()
    for broken in (b"", b"MZ", whole[:100], whole[:2100], b"MZ".ljust(5000, b"\xff")):
        with pytest.raises(InspectError):
            read_uki(_file(tmp_path, broken))
    with pytest.raises(InspectError, match=r"no section \.cmdline, \.initrd"):
        read_uki(_file(tmp_path, uki({".linux": b"x"})))


def _verity(tmp_path: Path, data: bytes, tree: bytes, root_hash: str) -> str:
    image = _file(tmp_path, data + tree)
    return find_damage(
        image,
        Partition(3, "root", "", "", 0, len(data)),
        Partition(2, "verity", "", "", len(data), len(tree)),
        root_hash,
    )


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("blocks", [1, 2, 128, 129, 300])
def test_an_untouched_partition_verifies(tmp_path: Path, blocks: int, algorithm: str) -> None:
    data = random.Random(blocks).randbytes(blocks * BLOCK)  # noqa: S311 - any bytes will do
    assert _verity(tmp_path, data, *hash_tree(data, algorithm)) == ""


def test_one_changed_bit_is_found_where_it_is(tmp_path: Path, sample: Sample) -> None:
    tree, root_hash = hash_tree(sample.data)
    changed = bytearray(sample.data)
    changed[200 * BLOCK + 17] ^= 1
    assert f"at byte {200 * BLOCK}" in _verity(tmp_path, bytes(changed), tree, root_hash)


def test_a_changed_tree_and_a_wrong_root_hash_are_told_apart(
    tmp_path: Path, sample: Sample
) -> None:
    tree, root_hash = hash_tree(sample.data)
    top = bytearray(tree)
    top[BLOCK] ^= 1
    assert "partition 2, the hash tree" in _verity(tmp_path, sample.data, bytes(top), root_hash)
    assert f"root hash {root_hash}" in _verity(tmp_path, sample.data, tree, "0" * 64)


def test_a_partition_that_was_swapped_with_its_tree_is_noticed(
    tmp_path: Path, sample: Sample
) -> None:
    other = bytes(len(sample.data))
    tree, _ = hash_tree(other)
    assert "has the root hash" in _verity(tmp_path, other, tree, sample.root_hash)
    assert "smaller" in _verity(tmp_path, other[:BLOCK], tree, sample.root_hash)


@pytest.mark.parametrize("at", [0, 8, 12, 40, 64, 68])
def test_a_broken_superblock_is_told(tmp_path: Path, sample: Sample, at: int) -> None:
    tree, root_hash = hash_tree(sample.data)
    broken = bytearray(tree)
    broken[at] ^= 0xFF
    with pytest.raises(InspectError, match="no hash tree"):
        _verity(tmp_path, sample.data, bytes(broken), root_hash)


def test_packages_of_two_architectures_are_both_listed() -> None:
    stanza = "Package: libc6\nStatus: install ok installed\nArchitecture: {}\nVersion: {}\n"
    text = stanza.format("amd64", "2") + "\n" + stanza.format("i386", "1")
    assert parse_packages(text) == {"libc6": "2", "libc6:i386": "1"}


def test_os_release_loses_its_quotes() -> None:
    assert parse_os_release("A=\"b c\"\n#D=e\n\nF='g'\nH=i\n") == {"A": "b c", "F": "g", "H": "i"}

"""What upgrades use of the machine: zstd, rdiff, systemd-sysupdate, partitions, the lock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firstboot.base.errors import CommandError, MachineError, UpdateRefusedError
from firstboot.base.run import run
from firstboot.system import rdiff, sysupdate, zstd
from firstboot.system.maintenance import maintenance
from firstboot.system.partitions import Partition, list_partitions, root_disk
from tests.unit.firstboot.conftest import FakePrograms

DATA = b"the same again and again, " * 4000


def packed(tmp_path: Path, data: bytes) -> Path:
    (tmp_path / "plain").write_bytes(data)
    run(["zstd", "--quiet", tmp_path / "plain", "-o", tmp_path / "packed"])
    return tmp_path / "packed"


def test_decompress(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"what was here before")
    zstd.decompress(packed(tmp_path, DATA), tmp_path / "target", limit=len(DATA))
    assert (tmp_path / "target").read_bytes() == DATA


def test_decompress_no_more_than_the_limit(tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        zstd.decompress(packed(tmp_path, DATA), tmp_path / "target", limit=len(DATA) - 1)
    assert not (tmp_path / "target").exists() or (tmp_path / "target").stat().st_size < len(DATA)


def test_decompress_what_is_damaged(tmp_path: Path) -> None:
    source = packed(tmp_path, os.urandom(5000))
    source.write_bytes(source.read_bytes()[:-100])
    with pytest.raises(CommandError):
        zstd.decompress(source, tmp_path / "target", limit=10_000)


@pytest.fixture
def delta(tmp_path: Path) -> Path:
    (tmp_path / "old").write_bytes(DATA)
    (tmp_path / "new").write_bytes(DATA[:5000] + b"changed" + DATA[5000:])
    run(["rdiff", "signature", tmp_path / "old", tmp_path / "signature"])
    run(["rdiff", "delta", tmp_path / "signature", tmp_path / "new", tmp_path / "delta"])
    return tmp_path / "delta"


def test_patch(tmp_path: Path, delta: Path) -> None:
    size = (tmp_path / "new").stat().st_size
    (tmp_path / "target").write_bytes(b"left behind")
    rdiff.patch(tmp_path / "old", delta, tmp_path / "target", limit=size)
    assert (tmp_path / "target").read_bytes() == (tmp_path / "new").read_bytes()
    with pytest.raises(CommandError):
        rdiff.patch(tmp_path / "old", delta, tmp_path / "target", limit=size - 1)


def test_patch_what_is_no_delta(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(CommandError):
        rdiff.patch(tmp_path / "junk", tmp_path / "junk", tmp_path / "target", limit=100)


def test_sysupdate(programs: FakePrograms, tmp_path: Path) -> None:
    programs.add("systemd-sysupdate")
    sysupdate.update("2.0.0", tmp_path)
    assert programs.calls == [["systemd-sysupdate", f"--definitions={tmp_path}", "update", "2.0.0"]]
    programs.add("systemd-sysupdate", "echo No space left on device >&2; exit 1")
    with pytest.raises(CommandError, match="No space left"):
        sysupdate.update("2.0.0", tmp_path)


def test_sysupdate_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sysupdate, "_ELSEWHERE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="was not found"):
        sysupdate.update("2.0.0")
    program = tmp_path / "systemd-sysupdate"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    sysupdate.update("2.0.0")


def block_device(block: Path, number: str, path: str, *slaves: str) -> Path:
    """A device in a tree like that of sysfs."""
    node = block.parent / "devices" / path
    node.mkdir(parents=True, exist_ok=True)
    (node / "dev").write_text(number)
    (block / number).symlink_to(node)
    (node / "slaves").mkdir()
    for slave in slaves:
        (node / "slaves" / slave.rpartition("/")[2]).symlink_to(block.parent / "devices" / slave)
    return node


def test_disk_below_the_root(tmp_path: Path) -> None:
    block = tmp_path / "block"
    block.mkdir()
    block_device(block, "259:0", "nvme0n1")
    block_device(block, "259:2", "nvme0n1/nvme0n1p2")
    (block_device(block, "259:3", "nvme0n1/nvme0n1p3") / "partition").write_text("3")
    (tmp_path / "devices/nvme0n1/nvme0n1p2/partition").write_text("2")
    block_device(block, "253:0", "dm-0", "nvme0n1/nvme0n1p3", "nvme0n1/nvme0n1p2")
    assert root_disk(os.makedev(253, 0), block) == Path("/dev/nvme0n1")
    assert root_disk(os.makedev(259, 3), block) == Path("/dev/nvme0n1")
    with pytest.raises(MachineError, match="is unknown"):
        root_disk(os.makedev(0, 40), block)


def test_partitions(programs: FakePrograms) -> None:
    programs.add(
        "lsblk",
        """echo '{"blockdevices": [
        {"path": "/dev/vda", "partlabel": null, "parttype": null, "size": 9000},
        {"path": "/dev/vda1", "partlabel": null, "parttype": "AB", "size": 512},
        {"path": "/dev/vda2", "partlabel": "mailstead_1.0.0", "parttype": "cd", "size": "1024"}
        ]}'""",
    )
    assert list_partitions(Path("/dev/vda")) == (
        Partition(Path("/dev/vda1"), "", "ab", 512),
        Partition(Path("/dev/vda2"), "mailstead_1.0.0", "cd", 1024),
    )
    assert programs.calls[0][-1] == "/dev/vda"


@pytest.mark.parametrize("output", ["", "[]", '{"blockdevices": [{"parttype": "ab"}]}'])
def test_lsblk_that_lists_no_partitions(programs: FakePrograms, output: str) -> None:
    programs.add("lsblk", f"echo '{output}'")
    with pytest.raises(MachineError, match="no list of the partitions of /dev/vda"):
        list_partitions(Path("/dev/vda"))


def test_maintenance_is_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "run/maintenance.lock"
    for what, refusal in (("a backup that is long", UpdateRefusedError), ("a", MachineError)):
        with (
            maintenance(path, what, MachineError),
            pytest.raises(refusal, match=f"{what} is under way"),
            maintenance(path, "an upgrade", refusal),
        ):
            pass
    with maintenance(path, "an upgrade", UpdateRefusedError):
        assert path.read_text() == "an upgrade"

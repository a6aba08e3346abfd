"""Machines that must not start, and say why; seeds that are wrong, and are waited for."""

from __future__ import annotations

import json
from pathlib import Path

from tests.boot.conftest import PowerOn
from tools.boot.appliance import BOOT_SECONDS, CONSOLE_READY, SETUP_DONE, WAITING
from tools.boot.example import Example
from tools.build.image import Built
from tools.inspect.partitions import read_partitions
from tools.vm.seedvolume import copy_sparse, make_seed_volume

GIB = 1 << 30


def test_wrong_seeds_are_explained_and_waited_for(
    power_on: PowerOn, example: Example, tmp_path: Path
) -> None:
    """One with a slip, one that this machine cannot live with, and one that is right."""
    machine = power_on(seed=example.seed.replace("hostname:", "hostnam:"), tpm=None)
    machine.wait_for_console(WAITING, seconds=BOOT_SECONDS, fail_on=[SETUP_DONE])
    assert "mailstead.seed:2: hostnam" in machine.console_text
    assert "hostname" in machine.console_text.partition("hostnam:")[2]

    stick = make_seed_volume(tmp_path / "seed.img", example.seed.encode())
    mark = machine.console.mark()
    machine.hotplug_volume(stick)
    without = r"mailstead: error: This machine has no TPM 2.0"
    machine.wait_for_console(without, seconds=BOOT_SECONDS, fail_on=[SETUP_DONE], after=mark)

    seed = f"{example.seed}disk:\n  protection: key-file\n"
    stick = make_seed_volume(tmp_path / "better.img", seed.encode())
    machine.hotplug_volume(stick)
    machine.wait_for_console(SETUP_DONE, seconds=BOOT_SECONDS)
    machine.wait_for_console(r"the disk has a new recovery key", seconds=BOOT_SECONDS)
    machine.guest.wait_ready(seconds=BOOT_SECONDS)
    found = machine.guest.run(["mailstead", "disk", "status", "--json"], timeout=60)
    protection = json.loads(found.stdout)
    assert [way["name"] for way in protection["ways"]] == ["key-file", "recovery"]
    assert "Whoever has the disk can read it" in protection["words"]


def test_too_little_memory_is_refused(power_on: PowerOn, example: Example) -> None:
    machine = power_on(seed=example.seed, memory_mib=768)
    machine.wait_for_console(
        r"mailstead: error: this machine has \d+ MiB of memory, Mailstead needs 1 GiB",
        seconds=BOOT_SECONDS,
        fail_on=[SETUP_DONE],
    )


def test_too_small_disk_is_refused(power_on: PowerOn, example: Example) -> None:
    machine = power_on(seed=example.seed, disk_bytes=4 * GIB)
    machine.wait_for_console(
        r"mailstead: error: The disk \S+ \(4 GiB\) cannot hold Mailstead's layout",
        seconds=BOOT_SECONDS,
        fail_on=[CONSOLE_READY],
    )
    machine.wait_for_console(r"mailstead: Use a disk of at least 8 GiB", seconds=10)


def test_tampered_system_is_not_run(
    power_on: PowerOn, built: Built, example: Example, tmp_path: Path
) -> None:
    image = copy_sparse(built.image, tmp_path / "tampered.raw")
    label = f"mailstead_{built.release.version}"
    root = next(found for found in read_partitions(image) if found.label == label)
    with image.open("r+b") as file:
        # In the superblock, which is read before anything else.
        file.seek(root.start + 1024 + 20)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    machine = power_on(seed=example.seed, image=image)
    machine.wait_for_console(
        r"verity: \S+: data block 0 is corrupted[\s\S]*Kernel panic - not syncing: dm-verity",
        seconds=BOOT_SECONDS,
        fail_on=[CONSOLE_READY],
    )


def test_unsigned_system_is_not_run(
    power_on: PowerOn, built: Built, example: Example, tmp_path: Path
) -> None:
    image = copy_sparse(built.image, tmp_path / "unsigned.raw")
    label = f"mailstead_{built.release.version}_sig"
    signature = next(found for found in read_partitions(image) if found.label == label)
    with image.open("r+b") as file:
        # Within the signature's base64, far from its ends.
        file.seek(signature.start + 900)
        letter = file.read(1)
        file.seek(-1, 1)
        file.write(b"A" if letter != b"A" else b"B")
    machine = power_on(seed=example.seed, image=image)
    machine.wait_for_console(
        r"mailstead: error: The system partition has no valid signature",
        seconds=BOOT_SECONDS,
        fail_on=[CONSOLE_READY],
    )

"""What QEMU is told, part by part."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest

from tools.vm.accelerator import tcg
from tools.vm.commandline import Connections, Parts, qemu_arguments
from tools.vm.disk import Disk
from tools.vm.errors import VirtualMachineError
from tools.vm.firmware import Firmware, escape, find_firmware
from tools.vm.hardware import (
    DiskInterface,
    Drive,
    Hardware,
    board_arguments,
    drive_arguments,
    network_arguments,
)
from tools.vm.ledger import Ledger
from tools.vm.network import UserNetwork
from tools.vm.sockets import listening, workspace


def devices(arguments: list[str]) -> list[str]:
    return [word for flag, word in itertools.pairwise(arguments) if flag == "-device"]


@pytest.mark.parametrize(
    ("interface", "expected"),
    [
        ("virtio", ["virtio-blk-pci,drive=disk0"]),
        ("nvme", ["nvme,drive=disk0"]),
        ("ahci", ["ahci,id=ahci", "ide-hd,bus=ahci.0,drive=disk0"]),
        ("usb", ["usb-storage,bus=usb.0,drive=disk0"]),
        ("scsi", ["virtio-scsi-pci,id=scsi", "scsi-hd,bus=scsi.0,drive=disk0"]),
    ],
)
def test_disk_is_plugged_in_as_wanted(interface: DiskInterface, expected: list[str]) -> None:
    found = devices(drive_arguments([Drive(Path("/d"), interface)]))
    assert len(found) == len(expected)
    assert all(device.startswith(start) for device, start in zip(found, expected, strict=True))
    assert found[-1].endswith("bootindex=0")


def test_each_ahci_drive_has_a_port() -> None:
    drives = [Drive(Path("/a"), "ahci"), Drive(Path("/b")), Drive(Path("/c"), "ahci")]
    found = devices(drive_arguments(drives))
    assert [device.split(",")[1] for device in found] == [
        "id=ahci",
        "bus=ahci.0",
        "drive=disk1",
        "bus=ahci.1",
    ]


def test_drive_with_a_comma_in_its_path() -> None:
    arguments = drive_arguments([Drive(Path("/a,b"), format="qcow2", read_only=True)])
    block = json.loads(arguments[arguments.index("-blockdev") + 1])
    assert block["file"]["filename"] == "/a,b"
    assert (block["driver"], block["read-only"]) == ("qcow2", True)
    assert escape("/a,b") == "/a,,b"


def test_options_of_the_board() -> None:
    plain = board_arguments(Hardware(memory_mib=700), 3)
    assert plain[plain.index("-m") + 1] == "700M"
    assert plain[plain.index("-smp") + 1] == "3"
    assert "-no-reboot" not in plain
    assert "i6300esb" not in plain
    full = board_arguments(Hardware(watchdog=True, reboots=False, display="virtio-vga"), 1)
    assert {"-no-reboot", "i6300esb", "watchdog=reset", "virtio-vga"} <= set(full)


def test_network_card_has_no_boot_rom() -> None:
    assert network_arguments(Hardware(network_card="e1000e"), "user,id=net0") == [
        *("-netdev", "user,id=net0"),
        *("-device", "e1000e,netdev=net0,romfile="),
    ]


def test_host_ports_are_left_to_the_kernel(ledger: Ledger) -> None:
    with UserNetwork({"imaps": 993, "smtp": 25, "again": 25}).link(ledger) as link:
        assert link.wrapper == ()
        assert link.netdev == (
            "user,id=net0,hostfwd=tcp:127.0.0.1:0-:25,hostfwd=tcp:127.0.0.1:0-:993"
        )


def test_whole_command_line(tmp_path: Path, firmware: Firmware) -> None:
    disk = Disk(tmp_path)
    connections = Connections(tmp_path / "run", tmp_path / "logs")
    parts = Parts(disk, Hardware(tpm=None), UserNetwork(), tcg(), firmware, connections)
    words = qemu_arguments(parts, "user,id=net0")
    assert words[:2] == ["-machine", "q35"]
    assert "tpmdev=tpm" not in " ".join(words)
    assert f"if=pflash,unit=1,format=raw,file={disk.variables}" in words
    assert "virtserialport,bus=serial.0,chardev=agent,name=org.qemu.guest_agent.0" in words
    logfile = f"logfile={tmp_path}/logs/console.log,logappend=on"
    assert f"socket,id=console,path={tmp_path}/run/console,{logfile}" in words


def describe(folder: Path, name: str, firmware: Firmware, features: list[str]) -> None:
    """Write a firmware descriptor as distributions do."""
    folder.mkdir(exist_ok=True)
    flash = {
        "device": "flash",
        "executable": {"filename": str(firmware.code), "format": "raw"},
        "nvram-template": {"filename": str(firmware.variables), "format": "raw"},
    }
    machines = [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}]
    descriptor = {
        "interface-types": ["uefi"],
        "mapping": flash,
        "targets": machines,
        "features": features,
    }
    (folder / name).write_text(json.dumps(descriptor))


def test_firmware_is_chosen_by_its_features(tmp_path: Path, firmware: Firmware) -> None:
    folder = tmp_path / "firmware"
    describe(folder, "40-enrolled.json", firmware, ["secure-boot", "enrolled-keys", "requires-smm"])
    describe(folder, "50-secure.json", firmware, ["secure-boot", "requires-smm"])
    describe(folder, "60-plain.json", firmware, ["verbose-dynamic"])
    assert not find_firmware(folders=[folder]).requires_smm
    secure = find_firmware(secure_boot=True, folders=[folder])
    assert secure.machine_arguments()[:2] == ["-machine", "q35,smm=on"]


def test_descriptors_hide_their_namesakes(tmp_path: Path, firmware: Firmware) -> None:
    ours, theirs = tmp_path / "etc", tmp_path / "usr"
    describe(theirs, "60-plain.json", firmware, [])
    ours.mkdir()
    (ours / "60-plain.json").touch()
    with pytest.raises(VirtualMachineError, match="no UEFI firmware") as caught:
        find_firmware(folders=[ours, theirs])
    assert "ovmf" in caught.value.hint


def test_described_but_missing_firmware_is_skipped(tmp_path: Path, firmware: Firmware) -> None:
    folder = tmp_path / "firmware"
    describe(folder, "50.json", Firmware(tmp_path / "missing", tmp_path / "missing"), [])
    describe(folder, "60.json", firmware, [])
    assert find_firmware(folders=[folder]) == firmware


def test_too_long_socket_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VirtualMachineError, match="too long"), listening(tmp_path / ("x" * 108)):
        pass


def test_workspace_has_short_paths(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with workspace(ledger) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        with listening(folder / "console"):
            assert (folder / "console").is_socket()
    assert not folder.exists()
    shutil.rmtree(ledger.folder)

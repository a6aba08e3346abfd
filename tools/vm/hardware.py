"""What a machine is made of, and how that is said to QEMU."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.vm.firmware import escape
from tools.vm.tpm import TpmModel

DiskInterface = Literal["virtio", "nvme", "ahci", "usb", "scsi"]
Display = Literal["VGA", "virtio-vga"]


@dataclass(frozen=True)
class Drive:
    """One more drive: an image file that the guest sees from power-on."""

    path: Path
    interface: DiskInterface = "virtio"
    format: Literal["raw", "qcow2"] = "raw"
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A machine's parts; the default is a small VPS with a TPM.

    `network_card`: any QEMU network device, such as `e1000e` or `vmxnet3`. `watchdog`: an
    i6300esb that resets the machine. `reboots=False`: QEMU ends when the guest reboots.
    `credentials`: systemd credentials by name, handed over as SMBIOS OEM strings
    (systemd.system-credentials(7)); they pass through a file, never through argv.
    `kernel_arguments`: what systemd-stub(7) adds to the command line of an unsigned UKI.
    """

    memory_mib: int = 2048
    disk_interface: DiskInterface = "virtio"
    drives: Sequence[Drive] = ()
    tpm: TpmModel | None = "tpm-crb"
    display: Display = "VGA"
    network_card: str = "virtio-net-pci"
    watchdog: bool = False
    reboots: bool = True
    secure_boot: bool = False
    credentials: tuple[tuple[str, bytes], ...] = ()
    kernel_arguments: str = ""


def board_arguments(hardware: Hardware, cpus: int) -> list[str]:
    """QEMU's arguments for all that is neither disk nor network nor a connection to us."""
    arguments = [
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-m", f"{hardware.memory_mib}M", "-smp", str(cpus), "-rtc", "base=utc"),
        *("-object", "rng-random,id=rng0,filename=/dev/urandom"),
        *("-device", "virtio-rng-pci,rng=rng0"),
        *("-device", hardware.display),
        *("-device", "qemu-xhci,id=usb"),
        *("-device", "virtio-serial-pci,id=serial"),
    ]
    if hardware.watchdog:
        arguments += ["-device", "i6300esb", "-action", "watchdog=reset"]
    if not hardware.reboots:
        arguments += ["-no-reboot"]
    return arguments


def network_arguments(hardware: Hardware, netdev: str) -> list[str]:
    """QEMU's arguments for the network card; without its boot ROM, nothing boots from it."""
    return ["-netdev", netdev, "-device", f"{hardware.network_card},netdev=net0,romfile="]


def drive_arguments(drives: Sequence[Drive]) -> list[str]:
    """QEMU's arguments for the drives, the first being the one to boot from."""
    arguments: list[str] = []
    interfaces = [drive.interface for drive in drives]
    if "ahci" in interfaces:
        arguments += ["-device", "ahci,id=ahci"]
    if "scsi" in interfaces:
        arguments += ["-device", "virtio-scsi-pci,id=scsi"]
    for number, drive in enumerate(drives):
        name = f"disk{number}"
        blockdev = json.dumps(blockdev_options(name, drive))
        # AHCI takes one drive a port.
        port = interfaces[:number].count("ahci")
        device = f"{device_options(drive.interface, name, ahci_port=port)},bootindex={number}"
        arguments += ["-blockdev", blockdev, "-device", device]
    return arguments


def blockdev_options(node: str, drive: Drive) -> dict[str, object]:
    """A block node in the words of QMP's `blockdev-add`.

    Flushes reach the host's disk, so what the guest was promised is really kept; space that the
    guest trims is given back.
    """
    return {
        "driver": drive.format,
        "node-name": node,
        "read-only": drive.read_only,
        "discard": "unmap",
        "file": {"driver": "file", "filename": str(drive.path), "discard": "unmap"},
    }


def device_options(interface: DiskInterface, node: str, *, ahci_port: int = 0) -> str:
    """The `-device` option of a drive, by how it is plugged in."""
    serial = f"drive={node},serial={node},id={node}"
    match interface:
        case "virtio":
            return f"virtio-blk-pci,{serial}"
        case "nvme":
            return f"nvme,{serial}"
        case "ahci":
            return f"ide-hd,bus=ahci.{ahci_port},{serial}"
        case "usb":
            return f"usb-storage,bus=usb.0,{serial}"
        case "scsi":
            return f"scsi-hd,bus=scsi.0,{serial}"


def smbios_arguments(hardware: Hardware, folder: Path) -> list[str]:
    """QEMU's arguments for SMBIOS OEM strings, each of which passes through a file in `folder`."""
    strings = [
        f"io.systemd.credential.binary:{name}={base64.b64encode(value).decode()}"
        for name, value in hardware.credentials
    ]
    if hardware.kernel_arguments:
        strings.append(f"io.systemd.stub.kernel-cmdline-extra={hardware.kernel_arguments}")
    arguments: list[str] = []
    for number, text in enumerate(strings):
        path = folder / f"oem-string{number}"
        path.touch(mode=0o600)
        path.write_text(text)
        arguments += ["-smbios", f"type=11,path={escape(path)}"]
    return arguments

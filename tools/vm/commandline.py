"""QEMU's whole command line, put together from the parts of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.vm.accelerator import Accelerator
from tools.vm.disk import Disk
from tools.vm.firmware import Firmware
from tools.vm.hardware import (
    Drive,
    Hardware,
    board_arguments,
    drive_arguments,
    network_arguments,
    smbios_arguments,
)
from tools.vm.network import Network
from tools.vm.sockets import socket_argument
from tools.vm.tpm import tpm_arguments


@dataclass(frozen=True)
class Connections:
    """Where QEMU and the harness meet: sockets in a private folder, logs in another."""

    folder: Path
    logs: Path

    @property
    def console(self) -> Path:
        """The serial port; QEMU connects to us."""
        return self.folder / "console"

    @property
    def control(self) -> Path:
        """QMP for us; QEMU connects to us."""
        return self.folder / "control"

    @property
    def public(self) -> Path:
        """QMP for other programs, which connect to QEMU."""
        return self.folder / "qmp"

    @property
    def agent(self) -> Path:
        """The guest agent's serial port; we connect to QEMU whenever we ask."""
        return self.folder / "agent"

    @property
    def tpm(self) -> Path:
        """swtpm's control channel; QEMU connects to swtpm."""
        return self.folder / "tpm"

    @property
    def console_log(self) -> Path:
        """What the serial port has said, raw, in all boots; QEMU itself writes it."""
        return self.logs / "console.log"


@dataclass(frozen=True)
class Parts:
    """Everything that one power-on needs to know."""

    disk: Disk
    hardware: Hardware
    network: Network
    accelerator: Accelerator
    firmware: Firmware
    connections: Connections


def qemu_arguments(parts: Parts, netdev: str) -> list[str]:
    """All arguments of QEMU; writes the credentials into the folder of the connections."""
    hardware, disk, connections = parts.hardware, parts.disk, parts.connections
    system = Drive(disk.path.resolve(), hardware.disk_interface, "qcow2")
    arguments = [
        *parts.firmware.machine_arguments(),
        *parts.accelerator.arguments,
        *parts.firmware.flash_arguments(disk.variables),
        *board_arguments(hardware, parts.accelerator.cpus),
        *network_arguments(hardware, netdev),
        *drive_arguments([system, *hardware.drives]),
        *smbios_arguments(hardware, connections.folder),
        *connection_arguments(connections),
    ]
    if hardware.tpm:
        arguments += tpm_arguments(hardware.tpm, connections.tpm)
    return arguments


def connection_arguments(to: Connections) -> list[str]:
    """QEMU's arguments for console, control and guest agent."""
    agent = "virtserialport,bus=serial.0,chardev=agent,name=org.qemu.guest_agent.0"
    return [
        *("-chardev", socket_argument("console", to.console, log=to.console_log)),
        *("-serial", "chardev:console"),
        *("-chardev", socket_argument("control", to.control)),
        *("-mon", "chardev=control,mode=control"),
        *("-chardev", socket_argument("public", to.public, server=True)),
        *("-mon", "chardev=public,mode=control"),
        *("-chardev", socket_argument("agent", to.agent, server=True)),
        *("-device", agent),
    ]

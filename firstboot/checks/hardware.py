"""Checks of the machine itself: what it is made of, its clock, its units."""

from __future__ import annotations

import datetime

from firstboot.base.memory import read_memory
from firstboot.base.sshkeys import PORT as SSH_PORT
from firstboot.checks.machine import Bare, Machine
from firstboot.checks.result import Result, below, worst
from firstboot.system.clock import is_synchronized
from firstboot.system.disk import read_disk
from firstboot.system.openssh import ssh_is_on
from firstboot.system.processor import read_processor
from firstboot.system.secureboot import read_secure_boot
from firstboot.system.sockets import listening
from firstboot.system.systemctl import failed_units
from firstboot.system.tpm import has_tpm2
from firstboot.system.virtualisation import detect

MIB = 1 << 20
GIB = 1 << 30
# 1 GiB and 2 GiB, less what firmware and kernel take.
MEMORY_TOTAL_FAIL, MEMORY_TOTAL_WARN = 900 * MIB, 1800 * MIB
MEMORY_WARN, MEMORY_FAIL = 128 * MIB, 48 * MIB
# What is left for the state of a disk of 20 GB: the ESP and two slots take the rest.
STATE_ADVISED = 15 * GIB
DISK_WARN_PERCENT, DISK_FAIL_PERCENT = 15.0, 5.0


def check_memory(_machine: Bare) -> Result:
    """The machine has enough memory, and there is some left for another connection or two."""
    memory = read_memory()
    total = below(memory.total, MEMORY_TOTAL_WARN, MEMORY_TOTAL_FAIL)
    state = worst(total, below(memory.available, MEMORY_WARN, MEMORY_FAIL))
    measured = f"{memory.available // MIB} of {memory.total // MIB} MiB available"
    if state == "pass":
        return Result("memory", state, measured)
    why = "Without memory, services are killed while they work."
    advice = "Give the machine at least 1 GiB of memory; 2 GiB are better."
    return Result("memory", state, measured, why, advice)


def check_disk(machine: Bare) -> Result:
    """There is room for mail."""
    disk = read_disk(machine.paths.state_partition)
    left = min(disk.free_percent, disk.free_inodes_percent)
    state = worst(
        below(left, DISK_WARN_PERCENT, DISK_FAIL_PERCENT), below(disk.total, STATE_ADVISED, 0)
    )
    measured = f"{disk.free / GIB:.1f} of {disk.total / GIB:.1f} GiB free"
    if state == "pass":
        return Result("disk", state, measured)
    why = "A machine without room must refuse mail."
    advice = "Give the machine a disk of at least 20 GB, or delete mail."
    return Result("disk", state, measured, why, advice)


def check_processor(_machine: Bare) -> Result:
    """The processor is one that the image was built for, and encrypts quickly."""
    found = read_processor()
    measured = f"{found.architecture}, {found.cores} cores, {found.model}"
    if found.architecture != "x86_64":
        why = "The image was built for x86-64."
        return Result("processor", "fail", measured, why, "Use a machine with such a processor.")
    if "aes" not in found.flags:
        why = "Disk and connections are encrypted all the time, which is slow without AES."
        advice = "Let the hypervisor pass the processor's features on, or switch AES on."
        return Result("processor", "warn", f"{measured}, without AES instructions", why, advice)
    return Result("processor", "pass", measured)


def check_virtualisation(_machine: Bare) -> Result:
    """It is a machine, real or virtual, and not a container in somebody else's."""
    # Within a container, the machine around it is not asked for.
    if (container := detect("container")) != "none":
        why = "A container has the kernel of its host, and no disk that only you can open."
        advice = "Use a virtual machine or hardware of your own."
        return Result("virtualisation", "fail", f"in a container ({container})", why, advice)
    machine = detect("vm")
    measured = "hardware of its own" if machine == "none" else f"virtual machine ({machine})"
    return Result("virtualisation", "pass", measured)


def check_clock(machine: Bare) -> Result:
    """The clock is not before this version was built, and a time server has set it."""
    now = datetime.datetime.now(datetime.UTC)
    shown = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    why = "Certificates, and the dates of mail, need the right time."
    try:
        built = datetime.datetime.fromisoformat(machine.release.built)
    except ValueError:
        built = now
    if built.tzinfo is not None and now < built:
        advice = "Set the clock of the machine, or let it reach a time server."
        return Result("clock", "fail", f"{shown}, before this version was built", why, advice)
    if not is_synchronized():
        advice = "Let the machine reach a time server (UDP port 123)."
        return Result("clock", "warn", f"{shown}, not set by a time server", why, advice)
    return Result("clock", "pass", f"{shown}, set by a time server")


def check_tpm(_machine: Bare) -> Result:
    """There is a TPM 2.0, which can keep the key of the disk."""
    if has_tpm2():
        return Result("TPM", "pass", "TPM 2.0")
    return Result(
        "TPM",
        "warn",
        "no TPM 2.0",
        "Without one, the disk opens by a passphrase at each start, or by a key beside it.",
        "Switch the TPM on in the firmware (fTPM, PTT), or add one to the virtual machine.",
    )


def check_secure_boot(machine: Bare) -> Result:
    """The firmware starts only what our key has signed."""
    found = read_secure_boot(machine.paths.efivars)
    if found == "enforced":
        return Result("Secure Boot", "pass", found)
    advice = {
        "off": "Switch Secure Boot on in the firmware.",
        "setup mode": "Start the machine again: it takes our key then.",
        "unknown (no UEFI)": "Start the machine by UEFI rather than BIOS.",
    }[found]
    why = "Without it, somebody at the machine can start a changed system on your disk."
    return Result("Secure Boot", "warn", found, why, advice)


def check_units(_machine: Bare) -> Result:
    """systemd reports no failed unit."""
    failed = failed_units()
    if failed:
        return Result(
            "units",
            "warn",
            "failed: " + " ".join(failed),
            "A part of the operating system did not start.",
            "Restart the machine; if it stays so, report it with the journal.",
        )
    return Result("units", "pass", "none failed")


def check_listeners(machine: Machine) -> Result:
    """Nobody but the declared ports can be reached from outside."""
    declared = {port.published for port in machine.stack.ports}
    if ssh_is_on(machine.paths):
        declared.add(SSH_PORT)
    extra = sorted({found.port for found in listening() if found.reachable} - declared)
    if extra:
        return Result(
            "listeners",
            "fail",
            "undeclared: " + " ".join(str(port) for port in extra),
            "Whatever listens there can be attacked from the network.",
            "This image opens ports that it does not declare: build it anew and report it.",
        )
    return Result("listeners", "pass", "only declared ports are open")

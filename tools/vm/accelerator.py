"""Finds out whether KVM really works here, by letting it boot the firmware.

/dev/kvm may exist and answer and yet be unable to run UEFI ("KVM internal error"), as nested and
emulated KVM sometimes are. Only a sign of life from the firmware counts.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstboot.base.errors import MailsteadError
from tools.host.cache import cache_root
from tools.vm.console import Console
from tools.vm.deadline import Deadline
from tools.vm.emulator import HOST, PROGRAM, Emulator, find_emulator
from tools.vm.firmware import Firmware, find_firmware
from tools.vm.ledger import read_boot_id
from tools.vm.processes import started
from tools.vm.qmp import monitoring
from tools.vm.sockets import listening, socket_argument

FORMAT = 1

# The firmware speaks within 2 s under working KVM. Where it is taken for broken because the host is
# busy, everything takes twenty times as long until the host boots again.
PROBE_SECONDS = 60.0

# QEMU keeps this much of translated code, the most it can; when it is full, all is translated
# anew. A start of the appliance makes 800 MiB.
_TRANSLATED_MIB = 2047

# Events after which a guest does not go on: QEMU stops it on a KVM internal error.
_DEAD = frozenset({"STOP", "GUEST_PANICKED", "SHUTDOWN", "RESET"})


@dataclass(frozen=True)
class Accelerator:
    """How QEMU runs guest code.

    `qemu` is how QEMU is started, `factor` is how much longer than with KVM things may take, `cpus`
    how many processors a machine gets.
    """

    name: str
    qemu: tuple[str, ...]
    arguments: tuple[str, ...]
    factor: float
    cpus: int

    def scaled(self, seconds: float) -> float:
        """A deadline that was written down for KVM, for this accelerator."""
        return seconds * self.factor


KVM = Accelerator("kvm", HOST.command, ("-accel", "kvm", "-cpu", "host"), 1.0, 2)


def tcg(emulator: Emulator = HOST) -> Accelerator:
    """Emulation by the given QEMU. The factor is on the generous side, for a busy host.

    One processor: among several, emulation loses track when Linux changes its own code, and about
    one start of thirty ended in "Oops: int3".

    The guest's clock counts instructions, a nanosecond each, and goes on by itself when the guest
    is idle. By the host's clock a busy guest would get a thousand timer interrupts a second and do
    little else (its start to the first line on the console took half as long again), and whatever
    it waits for would be late on a slow host. It sees a machine that is as fast as any other.
    """
    clock = ("-icount", "shift=0,sleep=on")
    arguments = ("-accel", f"tcg,tb-size={_TRANSLATED_MIB}", "-cpu", emulator.processor, *clock)
    return Accelerator("tcg", emulator.command, arguments, 20.0, 1)


def find_accelerator(*, cache: Path | None = None, device: Path = Path("/dev/kvm")) -> Accelerator:
    """KVM if it boots the firmware, else TCG; remembered until the host boots again."""
    path = (cache if cache is not None else cache_root()) / "accelerator.json"
    # Another user may have no access to the device, another QEMU may behave differently.
    key = {
        "format": FORMAT,
        "boot_id": read_boot_id(),
        "uid": os.getuid(),
        "qemu": shutil.which(PROGRAM),
    }
    remembered = _read_cache(path)
    if remembered.get("key") == key:
        return KVM if remembered.get("accelerator") == KVM.name else tcg(_emulator())
    usable = os.access(device, os.R_OK | os.W_OK) and boots_firmware(KVM, find_firmware())
    accelerator = KVM if usable else tcg(_emulator())
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two lanes of tests may find it out at the same time.
    draft = path.with_suffix(f".{os.getpid()}.new")
    draft.write_text(json.dumps({"key": key, "accelerator": accelerator.name}))
    draft.rename(path)
    return accelerator


def boots_firmware(
    accelerator: Accelerator, firmware: Firmware, *, seconds: float = PROBE_SECONDS
) -> bool:
    """Whether the firmware writes to the serial port of a machine without a disk.

    False when the guest stops, QEMU ends, or `seconds` pass in silence.
    """
    signs: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def judge(event: Mapping[str, Any]) -> None:
        if event["event"] in _DEAD:
            signs.put(False)

    deadline = Deadline(seconds)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailstead-")))
        variables = folder / "variables"
        shutil.copyfile(firmware.variables, variables)
        control = stack.enter_context(listening(folder / "qmp"))
        serial = stack.enter_context(listening(folder / "console"))
        argv = [
            *(*accelerator.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-m", "256"),
            *firmware.machine_arguments(),
            *accelerator.arguments,
            *firmware.flash_arguments(variables),
            *("-chardev", socket_argument("console", folder / "console")),
            *("-serial", "chardev:console"),
            *("-chardev", socket_argument("qmp", folder / "qmp")),
            *("-mon", "chardev=qmp,mode=control"),
        ]
        child = stack.enter_context(started("qemu", argv, log=folder / "qemu.log"))
        try:
            console = Console(child.accept(serial, deadline), lambda text: signs.put(bool(text)))
            stack.callback(console.close)
            stack.enter_context(monitoring(child.accept(control, deadline), judge))
            return signs.get(timeout=deadline.remaining)
        except (MailsteadError, queue.Empty):
            return False


def _emulator() -> Emulator:
    return find_emulator(cache_root() / "build")


def _read_cache(path: Path) -> dict[str, Any]:
    try:
        remembered = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return remembered if isinstance(remembered, dict) else {}

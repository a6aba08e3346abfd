"""Keeps what a failed test needs to be understood: serial log, screen, journal, logs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from firstboot.base.errors import MailsteadError
from tools.vm.errors import GuestAgentError
from tools.vm.machine import Machine

JOURNAL = ["journalctl", "--boot", "--no-pager", "--output=short-precise"]

# Under KVM. A machine that hangs has cost enough already.
JOURNAL_SECONDS = 15.0


def keep_evidence(machine: Machine, folder: Path) -> list[Path]:
    """Write all that can still be had into `folder` and return the files; never raises for that.

    Call it while the machine is still held (before its `with` ends). What could not be had is
    told in `missing.txt`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = []
    for name, write in _writers(machine).items():
        try:
            write(folder / name)
        except (MailsteadError, OSError) as error:
            missing.append(f"{name}: {error}\n")
    if missing:
        (folder / "missing.txt").write_text("".join(missing))
    return sorted(path for path in folder.iterdir() if path.is_file())


def _writers(machine: Machine) -> dict[str, Callable[[Path], None]]:
    def copy(source: Path) -> Callable[[Path], None]:
        def write(path: Path) -> None:
            if source.resolve() != path.resolve():
                shutil.copyfile(source, path)

        return write

    def write_journal(path: Path) -> None:
        if not machine.guest_connected:
            raise GuestAgentError("no guest agent listens")
        path.write_text(machine.guest.run(JOURNAL, timeout=JOURNAL_SECONDS).stdout)

    return {
        "console.log": copy(machine.console_log),
        "qemu.log": copy(machine.logs / "qemu.log"),
        "swtpm.log": copy(machine.logs / "swtpm.log"),
        "machine.json": lambda path: _write_summary(machine, path),
        "screen.png": machine.screenshot,
        "journal.txt": write_journal,
    }


def _write_summary(machine: Machine, path: Path) -> None:
    summary = {
        "accelerator": machine.accelerator.name,
        "disk": str(machine.disk.path),
        "running": machine.running,
        "uptime_seconds": round(machine.uptime, 1),
        "ports": dict(machine.ports),
        "memory_mib": machine.hardware.memory_mib,
        "disk_interface": machine.hardware.disk_interface,
    }
    path.write_text(json.dumps(summary, indent=2) + "\n")

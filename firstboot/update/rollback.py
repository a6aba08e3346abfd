"""`mailstead update rollback`: back to the version before, whose slot is still there.

The order of writes: the history first, so that a power cut cannot leave a machine that went back
and then upgrades itself to the same version again; then the boot loader forgets the version.
"""

from __future__ import annotations

from firstboot.base.errors import UpdateRefusedError
from firstboot.update.history import (
    Attempt,
    begin,
    conclude,
    pending,
    read_history,
    write_history,
)
from firstboot.update.machine import Machine, slot_present

REASON = "rolled back by the owner"


def earlier_version(machine: Machine) -> str:
    """The version that a rollback starts; UpdateRefusedError when there is none."""
    running = machine.release.version
    for entry in machine.loader.entries():
        if entry.version != running and entry.good and slot_present(entry.version):
            return entry.version
    raise UpdateRefusedError(
        "there is no other version on this machine that is known to work",
        "After an upgrade the version before it stays until the next upgrade is written.",
    )


def roll_back(machine: Machine) -> str:
    """Make the next start one of the earlier version, which is returned."""
    earlier, running = earlier_version(machine), machine.release.version
    path = machine.paths.update_history
    attempts = read_history(path)
    last = pending(attempts)
    if last is not None and last.version == running:
        attempts = conclude(attempts, "failed", REASON)
    attempt = Attempt(earlier, running, machine.timestamp(), "rollback", "pending", REASON)
    write_history(path, begin(attempts, attempt))
    machine.loader.condemn(running)
    return earlier

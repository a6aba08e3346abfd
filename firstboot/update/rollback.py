"""`mailstead update rollback`: back to the version before, whose slot is still there.

The order of writes: the history first, so that a power cut cannot leave a machine that went back
and then upgrades itself to the same version again; then the boot loader prefers the earlier one.
That one is on trial, for its slot may have rotted since it ran. The version that is left is the
last resort: it starts again only when all tries of the earlier one fail.
"""

from __future__ import annotations

from firstboot.base.errors import UpdateRefusedError
from firstboot.update.fetch import disk_errors
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
    last = pending(read_history(machine.paths.update_history))
    # A rollback that power interrupted may have put it on trial already.
    begun = last.version if last is not None and last.how == "rollback" else None
    for entry in machine.loader.entries():
        usable = entry.good or (entry.version == begun and not entry.given_up)
        if entry.version != running and usable and slot_present(entry.version):
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
    with disk_errors(machine.paths.esp):
        machine.loader.prefer(earlier)
    return earlier

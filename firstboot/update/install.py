"""From verified parts to a slot that the boot loader tries next.

The order of writes, so that power may go at any instant:

1. history.json says that the version is pending. From here on a boot of it can be told from a boot
   of the old one after a failure.
2. Whatever else the boot loader could start from the other slot is removed from it: nothing may
   start from a slot that is half overwritten, and a version that failed gets new tries.
3. systemd-sysupdate writes the partitions, names them, and puts the UKI in its place, in this
   order. Before the UKI is there the old version starts, and `settle` finds that nothing happened.
4. What was written is read back and compared. A wrong slot loses its entry again. (If power goes
   before that, dm-verity and the counted tries do the same.)
5. When the version is an older one, the newer one steps back in the boot loader.
6. `ready/` and `download/` are emptied.
"""

from __future__ import annotations

from firstboot.base.errors import MachineError, MailsteadError
from firstboot.base.manifest import Manifest, Role
from firstboot.base.progress import Report
from firstboot.system import sysupdate
from firstboot.update.decide import is_older
from firstboot.update.fetch import clear, hash_of
from firstboot.update.history import Attempt, How, begin, conclude, read_history, write_history
from firstboot.update.machine import Machine, Slots

WRITTEN: tuple[Role, ...] = ("verity", "signature", "root")


def install(machine: Machine, manifest: Manifest, slots: Slots, how: How, report: Report) -> None:
    """Write the parts in `ready/` into the other slot, to be tried at the next start.

    When anything fails, the attempt is noted as interrupted, and the running version stays the
    one that starts.
    """
    paths, version = machine.paths, manifest.version
    attempt = Attempt(version, machine.release.version, machine.timestamp(), how, "pending")
    paths.last_failure.unlink(missing_ok=True)
    write_history(paths.update_history, begin(read_history(paths.update_history), attempt))
    try:
        for entry in machine.loader.entries():
            if entry.version != machine.release.version:
                machine.loader.condemn(entry.version)
        report(f"writing {version} into the other slot")
        sysupdate.update(version)
        report("comparing what was written")
        _compare(machine, manifest, slots)
        if is_older(version, machine.release.version):
            machine.loader.prefer(version)
    except BaseException as error:
        # A slot of which this is not known to be right must not be started.
        machine.loader.condemn(version)
        first = str(error).splitlines()[0] if isinstance(error, MailsteadError) else "stopped"
        closed = conclude(read_history(paths.update_history), "interrupted", first)
        write_history(paths.update_history, closed)
        raise
    clear(paths)
    report(f"{version} is installed and will be tried at the next start")


def _compare(machine: Machine, manifest: Manifest, slots: Slots) -> None:
    places = {role: slots.other[role].path for role in WRITTEN}
    entries = [e for e in machine.loader.entries() if e.version == manifest.version]
    if len(entries) != 1:
        raise MachineError(
            f"the boot loader has {len(entries)} entries for {manifest.version}, expected 1"
        )
    places = places | {"uki": entries[0].path}
    for role, path in places.items():
        part = manifest.part(role)
        if hash_of(path, part.bytes, cached=False) != part.sha256:
            raise MachineError(
                f"the {role} of {manifest.version} in {path} is not what was written",
                "The disk may be failing. The version that runs has not been touched.",
            )

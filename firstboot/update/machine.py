"""The machine that is upgraded: where its things are, and the facts that decisions go by."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import MachineError, ReleaseError, UpdateRefusedError
from firstboot.base.manifest import Manifest, Role, parse_envelope, parse_keys
from firstboot.base.paths import Paths
from firstboot.base.release import Release, read_release
from firstboot.base.sections import Disk, Updates
from firstboot.base.settings import read_settings
from firstboot.base.signature import Verify, open_envelope
from firstboot.base.state import read_state_format
from firstboot.system.bootloader import BootLoader, SystemdBoot
from firstboot.system.disk import read_disk
from firstboot.system.openssl import verify
from firstboot.system.partitions import Partition, list_partitions, root_disk
from firstboot.update.decide import Facts, Room
from firstboot.update.history import pending, read_history

# The pieces of a slot that are partitions, and how the label of each ends.
LABELS: Mapping[Role, str] = {"verity": "_verity", "signature": "_sig", "root": ""}

Now = Callable[[], datetime.datetime]


@dataclass(frozen=True)
class Machine:
    """Everything that an upgrade works with."""

    paths: Paths
    loader: BootLoader
    release: Release
    updates: Updates
    disk: Disk
    verify: Verify
    now: Now

    def facts(self) -> Facts:
        """How things are at this moment."""
        attempts = read_history(self.paths.update_history)
        entries, last = self.loader.entries(), pending(attempts)
        following = entries[0].version if entries else None
        waiting = last is not None and last.version == following != self.release.version
        return Facts(
            version=self.release.version,
            base=self.release.base,
            built=datetime.datetime.fromisoformat(self.release.built),
            state_format=read_state_format(self.paths.state_format),
            started=self.loader.current(),
            waiting=following if waiting else None,
            attended=self.disk.protection == "passphrase",
            attempts=attempts,
            updates=self.updates,
            now=self.now(),
        )

    def timestamp(self) -> str:
        """The time as it stands in the history: RFC 3339, UTC."""
        return self.now().astimezone(datetime.UTC).replace(microsecond=0).isoformat()

    def trusted(self, envelope: bytes, source: str) -> Manifest:
        """The manifest of an envelope; UpdateRefusedError when it is not signed as it must be."""
        try:
            text = self.paths.release_keys.read_text(encoding="utf-8")
            keys = parse_keys(text, str(self.paths.release_keys))
        except (OSError, UnicodeDecodeError) as error:
            raise ReleaseError(
                f"the keys that releases are checked with cannot be read: {error}",
                "The image that this system was made from is damaged: build it anew.",
            ) from None
        try:
            return open_envelope(parse_envelope(envelope, source), keys, self.verify, source)
        except ReleaseError as error:
            raise UpdateRefusedError(error.message, error.hint or _UNREADABLE) from None


_UNREADABLE = "What is published there is damaged, or is not a release of Mailstead."


def read_machine(paths: Paths) -> Machine:
    """The machine as it is; settings that are not there yet count as the defaults."""
    settings = read_settings(paths.settings)
    return Machine(
        paths=paths,
        loader=SystemdBoot(paths.esp, paths.efivars),
        release=read_release(paths.release),
        updates=settings.updates if settings else Updates(),
        disk=settings.disk if settings else Disk(),
        verify=verify,
        now=lambda: datetime.datetime.now(datetime.UTC),
    )


@dataclass(frozen=True)
class Slots:
    """Where each piece of the running slot lies, and the partitions that will be overwritten."""

    running: Mapping[Role, Path]
    other: Mapping[Role, Partition]


def read_slots(version: str) -> Slots:
    """Both slots, while `version` runs; MachineError when they are not what they should be."""
    partitions = list_partitions(root_disk())
    running: dict[Role, Path] = {}
    other: dict[Role, Partition] = {}
    for role, suffix in LABELS.items():
        label = f"mailstead_{version}{suffix}"
        own = next((found for found in partitions if found.label == label), None)
        if own is None:
            raise MachineError(f"this machine's disk has no partition {label}, which it runs from")
        # There are exactly two partitions of each kind.
        others = [p for p in partitions if p.type == own.type and p.path != own.path]
        if len(others) != 1:
            raise MachineError(
                f"this machine's disk has {len(others)} other partitions like {label}, expected 1",
                "The disk was not set up by Mailstead, or was changed: set it up anew.",
            )
        running[role], other[role] = own.path, others[0]
    return Slots(running, other)


def slot_present(version: str) -> bool:
    """Whether all partitions of a version are there."""
    labels = {partition.label for partition in list_partitions(root_disk())}
    return all(f"mailstead_{version}{suffix}" in labels for suffix in LABELS.values())


def read_room(machine: Machine, slots: Slots) -> Room:
    """How much room there is where an upgrade writes.

    systemd-sysupdate removes the other version's UKI before it writes the new one.
    """
    replaced = [e for e in machine.loader.entries() if e.version != machine.release.version]
    return Room(
        state=read_disk(machine.paths.state_partition).free,
        esp=read_disk(machine.paths.esp).free + sum(e.path.stat().st_size for e in replaced),
        slot={role: partition.size for role, partition in slots.other.items()},
    )

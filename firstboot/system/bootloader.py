"""The boot loader's part in upgrades: which versions it could start, and which one it did.

`BootLoader` is all that upgrades know of it; machines without UEFI will get an implementation of
their own. systemd-boot starts the newest version that has tries left or is good, and counts the
tries in the names of the files: `mailstead_1.2.3+2-1.efi` has two left and one done, and without
the suffix it is good (Boot Loader Specification and "Automatic Boot Assessment" of systemd).

Every change here is one rename or removal on the EFI system partition, brought to disk before
anything else happens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from firstboot.base.errors import MachineError, ReleaseError
from firstboot.base.files import sync_directory
from firstboot.base.manifest import version_key
from firstboot.base.run import run

# Where type 2 entries (UKIs) lie in the EFI system partition.
ENTRIES = Path("EFI/Linux")
# The vendor of the Boot Loader Interface's variables.
VENDOR = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
# As many as a new version gets (TriesLeft= in /usr/lib/mailstead/sysupdate.d).
TRIES = 3
# Each variable begins with four bytes of attributes (efivarfs in the kernel's documentation).
_ATTRIBUTES = 4
# systemd-boot may leave out the counters in an entry's id and put the UKI's profile behind it.
_NAME = re.compile(
    r"mailstead_(?P<version>[0-9.]+)(\+(?P<left>\d+)(-(?P<done>\d+))?)?\.efi(@\d+)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class Entry:
    """A version that can be started. `tries_left` is None for one that is good."""

    version: str
    path: Path
    tries_left: int | None
    tries_done: int

    @property
    def good(self) -> bool:
        """Whether it was started and found to work, and is not on trial any more."""
        return self.tries_left is None

    @property
    def given_up(self) -> bool:
        """Whether all of its tries failed."""
        return self.tries_left == 0


class BootLoader(Protocol):
    """What upgrades need of a boot loader."""

    def entries(self) -> tuple[Entry, ...]:
        """All versions that could be started, the one that is next first."""

    def current(self) -> Entry | None:
        """The entry that was started, None when the boot loader does not tell."""

    def condemn(self, version: str) -> None:
        """Never start `version` again unless it is installed anew."""

    def prefer(self, version: str) -> None:
        """Start `version` although others are newer; when all of its tries fail, those again.

        It is on trial then, even if it was good before. What power interrupts can be repeated.
        """


@dataclass(frozen=True)
class SystemdBoot:
    """systemd-boot(7), over the mounted EFI system partition and the firmware's variables."""

    esp: Path
    efivars: Path

    def entries(self) -> tuple[Entry, ...]:
        found = (_entry(path) for path in (self.esp / ENTRIES).glob("*"))
        known = [entry for entry in found if entry is not None]
        known.sort(key=lambda entry: version_key(entry.version), reverse=True)
        return tuple(sorted(known, key=lambda entry: entry.given_up))

    def current(self) -> Entry | None:
        # The second one is there only if the tries are counted, and then names the very file.
        for variable in ("LoaderEntrySelected", "LoaderBootCountPath"):
            started = _entry(Path(self._variable(variable).replace("\\", "/")))
            if started is not None:
                same = [entry for entry in self.entries() if entry.version == started.version]
                # Of two files for one version the one on trial decides.
                same.sort(key=lambda entry: entry.good)
                return same[0] if same else None
        return None

    def condemn(self, version: str) -> None:
        for entry in self.entries():
            if entry.version == version:
                entry.path.unlink(missing_ok=True)
                sync_directory(entry.path.parent)

    def prefer(self, version: str) -> None:
        entries = self.entries()
        wanted = [entry for entry in entries if entry.version == version]
        if not wanted:
            raise MachineError(f"version {version} cannot be started: it is not on this machine")
        for entry in wanted:
            # Its slot may have rotted since, and what is good is started for ever. This comes
            # first: until the others step back they still start.
            if entry.good:
                _count(entry, left=TRIES)
        for entry in entries:
            # Without tries left it comes after all others, but is still there to fall back to.
            if version_key(entry.version) > version_key(version) and not entry.given_up:
                _count(entry, left=0)

    def _variable(self, name: str) -> str:
        try:
            data = (self.efivars / f"{name}-{VENDOR}").read_bytes()
        except OSError:
            return ""
        return data[_ATTRIBUTES:].decode("utf-16-le", errors="replace").rstrip("\0")


def restart() -> None:
    """Shut everything down and start what the boot loader picks."""
    run(["systemctl", "reboot"], timeout=300)


def _count(entry: Entry, *, left: int) -> None:
    """Write the tries into the name of an entry."""
    name = f"mailstead_{entry.version}+{left}-{entry.tries_done}.efi"
    entry.path.replace(entry.path.with_name(name))
    sync_directory(entry.path.parent)


def _entry(path: Path) -> Entry | None:
    """What a file name says, None when it is not one of ours."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    try:
        version_key(match["version"])
    except ReleaseError:
        return None
    left = None if match["left"] is None else int(match["left"])
    return Entry(match["version"], path, left, int(match["done"] or 0))

"""How full a file system is, from statvfs(3)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import MachineError


@dataclass(frozen=True)
class Disk:
    """Bytes: the whole file system, and what is free for everybody; inodes free, in percent."""

    total: int
    free: int
    free_inodes_percent: float

    @property
    def used(self) -> int:
        return self.total - self.free

    @property
    def free_percent(self) -> float:
        return 100.0 * self.free / self.total if self.total else 0.0


def read_disk(path: Path) -> Disk:
    """The file system that holds `path`; MachineError when there is none."""
    try:
        found = os.statvfs(path)
    except OSError as error:
        raise MachineError(f"the disk of {path} cannot be read: {error.strerror}") from None
    # Some file systems (btrfs) have no fixed number of inodes and say 0.
    inodes = 100.0 * found.f_favail / found.f_files if found.f_files else 100.0
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize, inodes)

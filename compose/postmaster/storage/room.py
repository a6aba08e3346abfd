"""The disk: when it is nearly full, nothing may grow any more, so that what shrinks still works."""

from __future__ import annotations

import os
from pathlib import Path

from postmaster.errors import StorageFullError, StorageUnavailableError

RESERVE_BYTES = 256 * 1024 * 1024
RESERVE_SHARE = 20  # never more than one part in so many of the file system


def require_room(folder: Path, size: int) -> None:
    """Raise StorageFullError when `size` more bytes in a folder leave less than the reserve.

    Removing mail writes too: to the log, and pages that are given back later.
    """
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        raise StorageUnavailableError(f"cannot look at the disk of {folder}") from error
    reserve = min(RESERVE_BYTES, disk.f_blocks * disk.f_frsize // RESERVE_SHARE)
    if disk.f_bavail * disk.f_frsize < reserve + size:
        raise StorageFullError(f"the disk of {folder} is nearly full")

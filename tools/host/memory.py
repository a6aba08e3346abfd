"""Folders in memory: for what no disk may hold, and for work that a disk would slow down."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from firstboot.base.memory import read_memory
from firstboot.base.run import run
from tools.host.cache import lock
from tools.host.errors import HostError

MEMORY = Path("/dev/shm")  # noqa: S108 - it is memory, and what is made there is private
_KINDS = {"tmpfs", "ramfs"}


def other_file_system() -> str | None:
    """What /dev/shm is where it is not in memory; None where it is."""
    kind = run(["stat", "--file-system", "--format=%T", MEMORY], check=False).stdout.strip()
    return None if kind in _KINDS else kind or "not there"


def room_in_memory() -> int:
    """How many bytes a folder in memory can hold now; 0 where no program could run in it."""
    if other_file_system():
        return 0
    state = os.statvfs(MEMORY)
    if state.f_flag & os.ST_NOEXEC:
        return 0
    return min(state.f_bavail * state.f_frsize, read_memory().available)


@contextmanager
def memory_folder(purpose: str) -> Iterator[Path]:
    """An empty folder, mode 0700, that goes with its content when the block ends.

    Ask first whether it would be in memory. What a killed process left for the same purpose
    goes now. Raises HostError when the content does not go.
    """
    prefix = f"mailstead-{purpose}-{os.getuid()}-"
    with lock(f"{purpose}-memory", f"making a folder for {purpose}"):
        _remove_abandoned(prefix)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY))
        held = _hold(folder)
    try:
        yield folder
    finally:
        _remove(folder)
        os.close(held)


def _remove_abandoned(prefix: str) -> None:
    """Remove folders whose process is gone: its lock on the folder ended with it."""
    for folder in MEMORY.glob(f"{prefix}*"):
        with suppress(OSError):
            held = _hold(folder)
            try:
                shutil.rmtree(folder)
            finally:
                os.close(held)


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise HostError(
            f"{folder} cannot be removed: {error.strerror}", "Remove it: it takes memory."
        ) from None


def _hold(folder: Path) -> int:
    """Lock a folder; BlockingIOError when another process has it. Ends with its descriptor."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor

"""A private folder in memory for opened keys, so that no disk ever holds them in clear."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from firstboot.base.run import run
from tools.host.cache import lock
from tools.keys.errors import KeysError

MEMORY = Path("/dev/shm")  # noqa: S108 - it is memory, and what is made there is private
_KINDS = {"tmpfs", "ramfs"}


@contextmanager
def memory_folder() -> Iterator[Path]:
    """An empty folder, mode 0700, that goes with its content when the block ends.

    What a killed process left goes now. Raises KeysError where /dev/shm is not in memory.
    """
    _require_memory()
    prefix = f"mailstead-keys-{os.getuid()}-"
    with lock("keys-memory", "opening keys"):
        _remove_abandoned(prefix)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY))
        held = _hold(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(held)


def _require_memory() -> None:
    kind = run(["stat", "--file-system", "--format=%T", MEMORY], check=False).stdout.strip()
    if kind not in _KINDS:
        raise KeysError(
            f"the keys cannot be opened: {MEMORY} is {kind or 'not there'}, not memory (tmpfs)",
            f"Mount a tmpfs at {MEMORY}: opened keys are never written to a disk.",
        )


def _remove_abandoned(prefix: str) -> None:
    """Remove folders whose process is gone: its lock on the folder ended with it."""
    for folder in MEMORY.glob(f"{prefix}*"):
        with suppress(OSError):
            held = _hold(folder)
            try:
                shutil.rmtree(folder)
            finally:
                os.close(held)


def _hold(folder: Path) -> int:
    """Lock a folder; BlockingIOError when another process has it. Ends with its descriptor."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor

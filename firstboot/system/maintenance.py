"""The lock of whatever must have the machine for itself: an upgrade, a backup."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from firstboot.base.errors import MailsteadError

_HINT = "Try again when it is done."


@contextlib.contextmanager
def maintenance(path: Path, what: str, refusal: type[MailsteadError]) -> Iterator[None]:
    """Hold the lock at `path` while the block runs; raise `refusal` when somebody else has it.

    `what` is what others are told meanwhile, such as `an upgrade`. The kernel gives the lock back
    when the process ends, however it ends (flock(2)); the programs that it runs do not inherit it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(descriptor, 100).decode(errors="replace").strip()
            raise refusal(f"{other or 'other maintenance'} is under way", _HINT) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, what.encode(), 0)
        yield
    finally:
        os.close(descriptor)

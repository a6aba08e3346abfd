"""Who reads a terminal and who draws on it, so that two programs on one console do not mix.

A program that sits at a terminal all the time gives way to dialogues that need an answer, and keeps
lines of progress off while it draws screens. Locks on files say so; they end with their process.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from firstboot.base.errors import DeadlineError
from firstboot.base.waiting import wait_for

SEATS = "terminals"
FOLDER = Path("/run/mailstead") / SEATS
_CLAIM, _READER, _SCREEN = "claim", ".reader", ".screen"
# Whoever sits at a terminal looks every second whether it is claimed.
CLAIM_SECONDS = 3.0


class Seat:
    """The right of one program to read a terminal that it sits at all the time.

    It gives way to whoever opens the terminal for a dialogue (`open_terminals`), and tells those
    who write lines (`Console`) while it draws screens.
    """

    def __init__(self, device: Path, folder: Path = FOLDER) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._reader = folder / f"{device.name}{_READER}"
        self._screen = folder / f"{device.name}{_SCREEN}"
        self._held: int | None = None

    def is_claimed(self) -> bool:
        """Whether somebody else wants to read the terminal, or does."""
        lock = _try_lock(self.folder / _CLAIM, fcntl.LOCK_EX)
        if lock is None:
            return True
        os.close(lock)
        return False

    def take(self) -> None:
        """Have the seat, or get it again once nobody else reads the terminal."""
        if self.is_claimed():
            self.leave()
            wait_for(lambda: not self.is_claimed(), what="the terminal", timeout=math.inf)
        if self._held is None:
            self._held = _try_lock(self._reader, fcntl.LOCK_EX)

    def leave(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    @contextlib.contextmanager
    def drawing(self) -> Iterator[None]:
        """Nobody else writes lines here while the block runs."""
        self._drawn = _try_lock(self._screen, fcntl.LOCK_EX)
        try:
            yield
        finally:
            self._close_screen()

    @contextlib.contextmanager
    def left(self) -> Iterator[None]:
        """Lines are welcome again, and somebody else may read, while the block runs."""
        self._close_screen()
        self.leave()
        try:
            yield
        finally:
            self.take()
            self._drawn = _try_lock(self._screen, fcntl.LOCK_EX)

    _drawn: int | None = None

    def _close_screen(self) -> None:
        if self._drawn is not None:
            os.close(self._drawn)
            self._drawn = None


def is_drawn(device: Path, folder: Path) -> bool:
    """Whether somebody draws screens on a device, which lines would spoil."""
    lock = _try_lock(folder / f"{device.name}{_SCREEN}", fcntl.LOCK_SH, create=False)
    if lock is None:
        return (folder / f"{device.name}{_SCREEN}").exists()
    os.close(lock)
    return False


@contextlib.contextmanager
def claim(devices: Iterable[Path], folder: Path) -> Iterator[None]:
    """Have whoever sits at these terminals give way, while the block runs."""
    if not folder.is_dir():
        yield
        return
    held = _lock(folder / _CLAIM, fcntl.LOCK_SH)
    try:
        for device in devices:
            reader = folder / f"{device.name}{_READER}"
            # Whoever does not give way in time is in the midst of something: both read then.
            with contextlib.suppress(DeadlineError):
                wait_for(
                    functools.partial(_is_free, reader),
                    what=f"{device} to be free",
                    timeout=CLAIM_SECONDS,
                    interval=0.1,
                )
        yield
    finally:
        os.close(held)


def _is_free(path: Path) -> bool:
    lock = _try_lock(path, fcntl.LOCK_EX)
    if lock is None:
        return False
    os.close(lock)
    return True


def _lock(path: Path, kind: int) -> int:
    """A descriptor that holds a lock until it is closed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, kind)
    return descriptor


def _try_lock(path: Path, kind: int, *, create: bool = True) -> int | None:
    """A descriptor that holds a lock until it is closed; None when another's is in the way."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor

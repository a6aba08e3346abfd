"""The administrator's password: the one place that checks it.

Wrong tries are counted for the whole machine, not for a terminal: whoever guesses at two consoles
gets no further. The count is in memory: a restart, which forgets it, takes longer than most delays.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.passwords import password_matches

# So many wrong tries cost nothing: people mistype.
FREE_TRIES = 3
MOST_SECONDS = 300.0
# The same by web, from all places together: guessing from everywhere gets no further, either.
FREE_FROM_EVERYWHERE = 20
_MOST_PLACES = 1000
# Of no password; compared with where there is none, so that it takes as long.
_NOBODYS = (
    "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)


@dataclass(frozen=True)
class Verdict:
    """Whether the password was right; `wait` is for how many seconds no other try counts."""

    right: bool
    wait: float


def delay_after(tries: int, free: int = FREE_TRIES) -> float:
    """Seconds to wait after so many wrong tries in a row: 2, 4, 8 … after the free ones."""
    if tries < free:
        return 0.0
    return min(MOST_SECONDS, 2.0 ** min(tries - free + 1, 16))


def seconds_to_wait(
    tries_file: Path, now: Callable[[], float] = time.monotonic, free: int = FREE_TRIES
) -> float:
    """For how long the next try would be refused unseen; 0 when one may be made."""
    tries, last = _read(tries_file)
    # A clock that stands before the last try is one of another start.
    return max(0.0, last + delay_after(tries, free) - now()) if last <= now() else 0.0


def check_password(
    password: str,
    phc: str | None,
    tries_file: Path,
    now: Callable[[], float] = time.monotonic,
) -> Verdict:
    """Compare a password with its hash, unless it is too early for another try.

    `phc` is None where no password is set: nothing is right then. One try at a time, wherever it
    comes from; each takes the same work. A try counts before it is looked at, so that cutting it
    off does not save it.
    """
    right = functools.partial(password_matches, password, phc or _NOBODYS)
    return _try(lambda: right() and phc is not None, tries_file, now)


def _try(is_right: Callable[[], bool], tries_file: Path, now: Callable[[], float]) -> Verdict:
    tries_file.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(f"{tries_file}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wait = seconds_to_wait(tries_file, now)
        if wait > 0:
            return Verdict(False, wait)
        tries = _read(tries_file)[0] + 1
        _write(tries_file, tries, now())
        right = is_right()
        if right:
            tries_file.unlink(missing_ok=True)
        return Verdict(right, 0.0 if right else delay_after(tries))
    finally:
        os.close(lock)


def check_from(
    is_right: Callable[[], bool],
    folder: Path,
    place: str,
    now: Callable[[], float] = time.monotonic,
) -> Verdict:
    """`check_password` for somebody who is not at the machine but at a `place` of the network.

    `is_right` looks at the password, or whatever opens there. Tries are counted by place, and for
    all places that were never right since the start together; not together with those at the
    machine, whose owner nobody is to lock out from afar.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = hashlib.sha256(place.encode()).hexdigest()[:32]
    mine, known, everywhere = folder / name, folder / f"{name}.known", folder / "everywhere"
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wait = seconds_to_wait(mine, now)
        if not known.exists():
            wait = max(wait, seconds_to_wait(everywhere, now, FREE_FROM_EVERYWHERE))
        if wait > 0:
            return Verdict(False, wait)
        verdict = _try(is_right, mine, now)
        if verdict.right:
            known.touch(mode=0o600)
            everywhere.unlink(missing_ok=True)
        elif not known.exists():
            _write(everywhere, _read(everywhere)[0] + 1, now())
            _forget_oldest(folder)
        return verdict
    finally:
        os.close(lock)


def _forget_oldest(folder: Path) -> None:
    """What is counted must not fill the memory."""
    kept = {"lock", "everywhere"}
    places = [path for path in folder.iterdir() if path.name not in kept]
    places.sort(key=lambda path: path.stat().st_mtime)
    for path in places[: max(0, len(places) - _MOST_PLACES)]:
        path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[int, float]:
    """Wrong tries so far, and when the last one was (CLOCK_MONOTONIC)."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        content = json.loads(path.read_text(encoding="ascii"))
        return int(content["tries"]), float(content["last"])
    return 0, 0.0


def _write(path: Path, tries: int, last: float) -> None:
    # In memory, behind the lock: nothing lasts that would have to be whole.
    path.write_text(json.dumps({"tries": tries, "last": last}), encoding="ascii")
    path.chmod(0o600)

"""The project's cache: where it is, who may change it now, how large it may get.

An entry of the cache is a directory that is either whole or not there: it is filled under another
name and renamed. That, and not a marker, is what makes an interrupted download harmless.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.host.errors import HostError, SpaceError
from tools.host.report import Say, say

UNFINISHED = ".unfinished-"
_GIB = 1 << 30
_MIB = 1 << 20


def cache_root() -> Path:
    """`$XDG_CACHE_HOME/mailstead`, `~/.cache/mailstead` without it. It need not exist yet.

    A relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification demands.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "mailstead"


def cache_folder(*parts: str) -> Path:
    """A directory below the cache, made if need be. Raises HostError where it cannot be made."""
    folder = cache_root().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(
            f"the cache {folder} cannot be made: {error.strerror}",
            "Set XDG_CACHE_HOME to a directory that you may write.",
        ) from None
    return folder


@contextmanager
def lock(name: str, doing: str, report: Say = say) -> Iterator[None]:
    """Hold `name` alone among all processes of this cache; `doing` is what others will read.

    Waits as long as it takes, and says for whom. The lock ends with its holder, however it ends.
    """
    path = cache_folder("locks") / f"{name}.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            report(f"Waiting: {file.read().strip() or 'another process'} is at work ({path}).")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"process {os.getpid()}, {doing}")
        file.flush()
        yield


@contextmanager
def filling(target: Path) -> Iterator[Path]:
    """A new empty directory that becomes `target` when the block ends well, else vanishes.

    Hold a lock around it: what an interrupted run left beside `target` is thrown away first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    discard_unfinished(target.parent)
    # Not mkdtemp's 0700: an entry is read by whoever may reach the cache.
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=target.parent))
    folder.chmod(0o755)
    try:
        yield folder
        # Otherwise the rename may reach the disk before the files do, and power may go in between.
        os.sync()
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def discard_unfinished(folder: Path) -> None:
    """Remove what an interrupted `filling` left in `folder`."""
    for left in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)


def mark_used(entry: Path) -> None:
    """Remember that `entry` is in use, so that `prune` takes others first."""
    os.utime(entry)


def prune(folder: Path, *, keep: Collection[Path], maximum_bytes: int) -> list[Path]:
    """Remove the least recently used entries of `folder` until it holds at most `maximum_bytes`.

    Entries in `keep` stay, whatever their size. Returns what was removed, oldest first.
    """
    entries = sorted(
        (entry for entry in folder.iterdir() if not entry.name.startswith(UNFINISHED)),
        key=lambda entry: entry.lstat().st_mtime,
    )
    sizes = {entry: disk_usage(entry) for entry in entries}
    total = sum(sizes.values())
    removed = []
    for entry in entries:
        if total <= maximum_bytes:
            break
        if entry in keep:
            continue
        remove(entry)
        total -= sizes[entry]
        removed.append(entry)
    return removed


def remove(entry: Path) -> None:
    """Remove a file, a link or a whole directory; missing is fine."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


def disk_usage(entry: Path) -> int:
    """Bytes that `entry` and all below it take on the disk (allocated, not apparent)."""
    total = entry.lstat().st_blocks * 512
    if entry.is_dir() and not entry.is_symlink():
        total += sum(disk_usage(child) for child in entry.iterdir())
    return total


def require_space(path: Path, needed: int, why: str) -> None:
    """Raise SpaceError unless `needed` bytes are free where `path` is, or will be made."""
    existing = next(place for place in (path, *path.parents) if place.exists())
    state = os.statvfs(existing)
    free = state.f_bavail * state.f_frsize
    if free < needed:
        raise SpaceError(
            f"{why} needs {readable(needed)} free in {path}, but there are {readable(free)}",
            f"Free {readable(needed - free)} there, or choose a place on another disk.",
        )


def readable(size: int) -> str:
    """A number of bytes for people: `1.5 GiB`, `12 MiB`."""
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{-(-size // _MIB)} MiB"

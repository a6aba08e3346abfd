"""What is backed up, laid out in one folder as it lies below /state, and held still meanwhile.

The folder holds links to the files themselves, so it takes no room, keeps what is deleted while the
backup goes on, and holds no copy of anything that was to be destroyed for longer than that. Only
the logs of databases are copied, in the instant in which nobody writes. A folder that a power cut
left is removed at the next start of a backup.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from firstboot.backup.contents import BACKED_UP, DIRECTORY, NOT_MAIL, Item, is_half_written
from firstboot.base.files import make_directory
from firstboot.base.paths import Paths
from firstboot.system.resticerrors import BackupError
from firstboot.system.sqlitelocks import Held, hold

_LOGS = ("-wal", "-shm")
# Packs of restic on their way (16 MiB each, a few at a time), its cache, what else comes in.
RESERVE_BYTES = 200 * 1024 * 1024


@dataclass
class _Layout:
    """The state, the folder that is laid out, and what is held until the backup is done."""

    state_partition: Path
    folder: Path
    held: ExitStack
    made: set[Path] = field(default_factory=set)

    def take(self, item: Item) -> None:
        """Lay out what an item stands for; what is not there is left out."""
        for source in self._sources(item.path):
            target = self.folder / source.relative_to(self.state_partition)
            if item.how == "databases" and not source.is_dir():
                self._take_database(source, target)
            else:
                self._take_file(source, target)

    def _sources(self, path: str) -> Iterator[Path]:
        """Files and folders below a path, each folder before what is in it."""
        root = self.state_partition / path
        if not path.endswith("/"):
            if root.is_file():
                yield root
            return
        for parent, folders, names in os.walk(root):
            below = Path(parent)
            folders[:] = sorted(n for n in folders if not self._is_left_out(below / n))
            yield below
            for name in sorted(names):
                if not is_half_written(name):
                    yield below / name

    def _is_left_out(self, folder: Path) -> bool:
        return f"{folder.relative_to(self.state_partition).as_posix()}/" in NOT_MAIL

    def _take_file(self, source: Path, target: Path) -> None:
        if source.is_dir():
            self._make(source, target)
        elif source.is_file() and not source.is_symlink():
            self._make(source.parent, target.parent)
            with contextlib.suppress(FileNotFoundError):
                os.link(source, target)

    def _take_database(self, source: Path, target: Path) -> None:
        if source.name.endswith(_LOGS):
            return
        with contextlib.suppress(FileNotFoundError):
            held = self.held.enter_context(hold(source))
            self._make(source.parent, target.parent)
            with held.without_writers():
                # What was removed before this instant is elsewhere by now, see `contents`.
                os.link(source, target)
                held.copy_log(target.with_name(f"{target.name}-wal"))

    def take_directory(self, held: Held, source: Path, target: Path) -> None:
        """Copy the directory's database, so that what it destroys is gone from the disk, too."""
        self._make(source.parent, target.parent)
        shutil.copy2(source, target)
        if os.geteuid() == 0:
            owner = source.stat()
            os.chown(target, owner.st_uid, owner.st_gid)
        held.copy_log(target.with_name(f"{target.name}-wal"))

    def _make(self, source: Path, target: Path) -> None:
        """A folder like that of the state, and those above it."""
        if target in self.made or source == self.state_partition:
            return
        self._make(source.parent, target.parent)
        target.mkdir(exist_ok=True)
        status = source.stat()
        if os.geteuid() == 0:
            os.chown(target, status.st_uid, status.st_gid)
        target.chmod(status.st_mode & 0o7777)
        self.made.add(target)


def clean_staging(paths: Paths) -> None:
    """Remove what a backup that was cut off has left."""
    shutil.rmtree(paths.backup_staging, ignore_errors=True)
    if paths.backup_staging.exists():
        raise BackupError(f"{paths.backup_staging} cannot be removed", "Look at the disk.")


@contextmanager
def staged(paths: Paths) -> Iterator[Path]:
    """Lay out what is backed up, for as long as the block runs; yields the folder.

    Mail comes in and is read meanwhile. Nobody writes to a vault for the instant in which its log
    is copied, nor to the directory while all are captured.
    """
    clean_staging(paths)
    make_directory(paths.backup, mode=0o700)
    make_directory(paths.backup_staging, mode=0o700)
    try:
        with ExitStack() as held:
            layout = _Layout(paths.state_partition, paths.backup_staging, held)
            try:
                _capture(layout)
            except OSError as error:
                raise BackupError(
                    f"the state cannot be laid out for a backup: {error.strerror}: "
                    f"{error.filename}",
                    "Is the disk full? mailstead status tells.",
                ) from None
            yield paths.backup_staging
    finally:
        clean_staging(paths)


def _capture(layout: _Layout) -> None:
    directory = layout.state_partition / DIRECTORY
    items = [item for item in BACKED_UP if item.path != DIRECTORY]
    if not directory.exists():
        if any((layout.state_partition / "mail/mailstore/vaults").glob("*.vault")):
            raise BackupError(
                f"{directory} is missing, without which no vault opens", "Restore an older backup."
            )
        for item in items:
            layout.take(item)
        return
    with hold(directory) as held, held.without_writers():
        for item in items:
            layout.take(item)
        layout.take_directory(held, directory, layout.folder / DIRECTORY)


def free_room_needed(paths: Paths) -> int:
    """How many bytes laying out takes: the logs, and some for restic's packs and cache."""
    logs = 0
    for file in (paths.state_partition / "mail").rglob("*-wal"):
        with contextlib.suppress(OSError):
            logs += file.stat().st_size
    return logs + RESERVE_BYTES

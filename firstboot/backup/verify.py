"""Test restores: a random sample of the newest backup, restored to scratch space and compared.

What is compared with is the backup's own manifest: hashes of the files as they were on the disk.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from firstboot.backup.engine import TAG, Machine
from firstboot.backup.manifest import NAME, hash_file, parse_manifest
from firstboot.backup.targets import opened
from firstboot.base.backups import Entry, note_backup
from firstboot.base.errors import MailsteadError
from firstboot.base.files import make_directory
from firstboot.base.progress import Report, megabytes
from firstboot.base.sections import BackupTarget
from firstboot.system.disk import read_disk
from firstboot.system.restic import Restic, Snapshot
from firstboot.system.resticerrors import BackupError, RepositoryDamagedError

MOST_FILES = 200
MOST_BYTES = 512 * 1024 * 1024


def verify(machine: Machine, target: BackupTarget, report: Report, *, everything: bool) -> Entry:
    """Restore and compare a sample, or with `everything` also read and hash all data there.

    What became of it is noted, and told by the entry's reason.
    """
    started = time.monotonic()
    when = machine.now().isoformat(timespec="seconds")
    files = size = 0
    reason = snapshot = ""
    try:
        with opened(machine.paths, machine.settings.backup, target) as restic:
            found = newest(restic, machine.settings.hostname)
            snapshot = found.short
            if everything:
                report(f"{target.name}: reading all that is there")
                restic.check(read_data="100%")
            files, size = _compare_sample(machine, restic, found)
    except MailsteadError as error:
        reason = f"{error.message} {error.hint}".strip()
    entry = Entry(
        target.name,
        "sample",
        when,
        reason,
        snapshot=snapshot,
        files=files,
        bytes=size,
        seconds=round(time.monotonic() - started),
    )
    note_backup(machine.paths.backup_history, entry)
    outcome = f"FAILED: {reason}" if reason else f"{files} files, {megabytes(size)}, all as saved"
    report(f"{target.name}: test restore of {snapshot or 'the newest backup'}: {outcome}")
    return entry


def newest(restic: Restic, host: str) -> Snapshot:
    """The newest backup of this machine; BackupError when there is none."""
    found = restic.snapshots(host=host, tag=TAG)
    if not found:
        raise BackupError(f"there is no backup of {host} in the repository", "mailstead backup now")
    return found[-1]


def choose_sample(
    files: Mapping[str, tuple[int, str]], room: int, dice: random.Random
) -> tuple[str, ...]:
    """Files at random, of which some vault is one if it fits; `room` is in bytes."""
    names = sorted(name for name, (size, _) in files.items() if size <= room)
    vaults = [name for name in names if name.endswith(".vault")]
    dice.shuffle(names)
    first = [dice.choice(vaults)] if vaults else []
    chosen: dict[str, int] = {}
    for name in (*first, *names):
        size = files[name][0]
        if name not in chosen and sum(chosen.values()) + size <= room and len(chosen) < MOST_FILES:
            chosen[name] = size
    return tuple(chosen)


def _compare_sample(machine: Machine, restic: Restic, snapshot: Snapshot) -> tuple[int, int]:
    """How many files and bytes came back as they were; RepositoryDamagedError if one did not."""
    scratch = machine.paths.backup_scratch
    clean_scratch(scratch)
    files = parse_manifest(restic.read(snapshot.id, NAME).decode(errors="replace")).files
    room = min(MOST_BYTES, read_disk(machine.paths.state_partition).free // 4)
    # Chosen by nobody, so that nothing can be arranged for it.
    chosen = choose_sample(files, room, random.SystemRandom())
    if not chosen:
        raise BackupError(
            f"there is no room to restore any file to ({megabytes(room)})", "Make room on the disk."
        )
    make_directory(scratch, mode=0o700)
    try:
        restic.restore(snapshot.id, scratch, only=chosen)
        for name in chosen:
            _require_same(scratch / name, name, *files[name])
    finally:
        clean_scratch(scratch)
    return len(chosen), sum(files[name][0] for name in chosen)


def _require_same(path: Path, name: str, size: int, digest: str) -> None:
    if not path.is_file():
        raise RepositoryDamagedError(f"{name} is not in the backup, as its manifest says")
    if path.stat().st_size != size or hash_file(path) != digest:
        raise RepositoryDamagedError(
            f"{name} came back other than it was saved",
            "Begin another repository, and keep this one for what it still has.",
        )


def clean_scratch(scratch: Path) -> None:
    """Remove what a test restore has left."""
    shutil.rmtree(scratch, ignore_errors=True)

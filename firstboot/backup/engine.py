"""Making backups: target by target, each from a state that is held still meanwhile.

One target that fails does not stop the others. Whatever fails leaves the snapshots that are there
as they are: a snapshot comes to be with the last small file that is written.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from firstboot.backup.capture import free_room_needed, staged
from firstboot.backup.keys import present_recovery
from firstboot.backup.manifest import FORMAT_TAG, NAME, Manifest, hash_tree
from firstboot.backup.repository import admit_recovery
from firstboot.backup.targets import opened, require_credentials
from firstboot.base.backups import Entry, note_backup, read_backups, thinned_today
from firstboot.base.errors import MailsteadError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.base.progress import Report, megabytes, remaining
from firstboot.base.release import Release, read_release
from firstboot.base.sections import BackupTarget
from firstboot.base.settings import Settings, require_settings
from firstboot.base.state import read_state_format
from firstboot.system.disk import read_disk
from firstboot.system.restic import Progress, Restic, Written
from firstboot.system.resticerrors import BackupError, RepositoryLockedError, RepositoryMissingError

TAG = "mailstead"
_SECONDS_BETWEEN = 5.0


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Machine:
    """What a backup is made of, and by which release."""

    paths: Paths
    settings: Settings
    release: Release
    now: Callable[[], datetime.datetime] = utc_now

    @property
    def targets(self) -> tuple[BackupTarget, ...]:
        return self.settings.backup.targets


def read_machine(paths: Paths) -> Machine:
    """Read settings and slot; SettingsError when the machine has not been set up."""
    return Machine(paths, require_settings(paths.settings), read_release(paths.release))


@dataclass
class _Teller:
    """Tells every few seconds how far a backup is, how fast, and how long it will take."""

    report: Report
    clock: Callable[[], float] = time.monotonic
    _told: float = field(default=0.0, init=False)

    def __call__(self, step: Progress) -> None:
        now = self.clock()
        if not step.bytes_total or now - self._told < _SECONDS_BETWEEN:
            return
        self._told = now
        line = f"  {megabytes(step.bytes_done)} of {megabytes(step.bytes_total)}"
        if step.seconds:
            line += f", {step.bytes_done / step.seconds / (1 << 20):.1f} MiB/s"
        if step.seconds_left:
            line += f", {remaining(step.seconds_left)}"
        self.report(line)


def refuse_unready(machine: Machine) -> None:
    """Raise BackupError for what would make a backup at any target fail, or lie about its time."""
    built = datetime.datetime.fromisoformat(machine.release.built)
    if machine.now() < built:
        raise BackupError(
            f"the clock is wrong: it says {machine.now():%Y-%m-%d %H:%M} UTC, and this version was "
            f"built {built:%Y-%m-%d %H:%M} UTC",
            "Let the machine reach a time server (UDP port 123).",
        )
    needed, free = free_room_needed(machine.paths), read_disk(machine.paths.state_partition).free
    if free < needed:
        raise BackupError(
            f"a backup needs {megabytes(needed)} of the disk, and {megabytes(free)} are free",
            "Make room: mailstead status shows what takes it.",
        )


def back_up(machine: Machine, targets: Sequence[BackupTarget], report: Report) -> tuple[Entry, ...]:
    """Back up to each of the targets, one after the other; what became of each is noted, too.

    Raises BackupError when nothing can be backed up anywhere now.
    """
    refuse_unready(machine)
    entries = []
    for target in targets:
        report(f"{target.name}: backing up to {target.repository}")
        entry = _attempt(machine, target, report)
        note_backup(machine.paths.backup_history, entry)
        if not entry.good:
            report(f"{target.name}: FAILED: {entry.reason}")
        entries.append(entry)
    return tuple(entries)


def _attempt(machine: Machine, target: BackupTarget, report: Report) -> Entry:
    started = time.monotonic()
    when = machine.now().isoformat(timespec="seconds")
    try:
        require_credentials(machine.paths, target)
        with opened(machine.paths, machine.settings.backup, target) as found:
            restic = _prepare(machine, found, target, report)
            written = _write(machine, restic, report)
            checked = _check(restic, target, report)
            thinned = _thin_out(machine, restic, target, report)
    except MailsteadError as error:
        reason = f"{error.message} {error.hint}".strip()
        return Entry(target.name, "backup", when, reason, seconds=_since(started))
    report(
        f"{target.name}: done, {written.files} files, {megabytes(written.bytes)}, of which "
        f"{megabytes(written.bytes_added)} are new"
    )
    return Entry(
        target.name,
        "backup",
        when,
        checked=checked,
        snapshot=written.snapshot,
        files=written.files,
        bytes=written.bytes,
        added=written.bytes_added,
        seconds=_since(started),
        thinned=thinned,
    )


def _prepare(machine: Machine, restic: Restic, target: BackupTarget, report: Report) -> Restic:
    """Have a repository that the recovery code opens, too; restic, which knows its key there."""
    before = read_backups(machine.paths.backup_history)
    known = any(entry.good and entry.target == target.name for entry in before)
    try:
        keys = restic.keys()
    except RepositoryMissingError:
        if known:
            report(f"{target.name}: the repository that was there is gone; this begins another one")
        restic.init()
        keys = []
    entered = restic.with_key(keys)
    admit_recovery(entered, keys, present_recovery(machine.paths), machine.paths)
    return entered


def _write(machine: Machine, restic: Restic, report: Report) -> Written:
    """Make the snapshot; everything is held still until it is there."""
    paths = machine.paths
    with staged(paths) as folder:
        manifest = Manifest(
            hostname=machine.settings.hostname,
            version=machine.release.version,
            state_format=read_state_format(paths.state_format),
            created=machine.now().isoformat(timespec="seconds"),
            files=hash_tree(folder, paths.backup_hashes),
        )
        make_directory((folder / NAME).parent, mode=0o700)
        write_atomic(folder / NAME, manifest.dump(), mode=0o600)
        host = machine.settings.hostname
        tags = [TAG, f"{FORMAT_TAG}{manifest.state_format}"]
        return restic.backup(folder, host=host, tags=tags, progress=_Teller(report))


def _check(restic: Restic, target: BackupTarget, report: Report) -> bool:
    """Check that the repository has all that it should; False when somebody else is using it."""
    try:
        restic.check()
    except RepositoryLockedError:
        report(f"{target.name}: not checked, since somebody else is using the repository")
        return False
    return True


def _thin_out(machine: Machine, restic: Restic, target: BackupTarget, report: Report) -> bool:
    """Let go of old backups, with the first one of a day; whether that was done now.

    That it does not work now is no reason to call the new one failed.
    """
    if thinned_today(read_backups(machine.paths.backup_history), target.name, machine.now()):
        return False
    keep = machine.settings.backup.keep.model_dump()
    try:
        restic.forget(keep, host=machine.settings.hostname, tag=TAG)
    except BackupError as error:
        report(f"{target.name}: old backups stay for now: {error.message}")
        return False
    return True


def _since(started: float) -> int:
    return round(time.monotonic() - started)

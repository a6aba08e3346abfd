"""Fetches what is to be restored into the staging area, and shows that it is whole and readable."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from firstboot.backup.manifest import FORMAT_TAG
from firstboot.backup.plan import Plan
from firstboot.base.errors import MachineError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.base.progress import MIB, Meter, Report, megabytes
from firstboot.base.settings import parse_settings
from firstboot.base.state import RESTORE_HINT, require_readable
from firstboot.system.disk import read_disk
from firstboot.system.restic import Restic, Snapshot
from firstboot.system.resticerrors import BackupError

FORMAT_FILE, SETTINGS = "format", "settings.yaml"
# What belongs to a machine or its disk, or is on its way; docs/backup.md gives the reasons.
_STAYS = (
    *("format", "disk.json", "machine-id", "docker", "containerd", "journal", "systemd"),
    *("updates", "setup", "restore", "loading"),
)
# Folders whose content is put in place piece by piece, since not all of it is in a backup.
_DIVIDED = frozenset({"mail", "backup"})
_ROOM_LEFT = 256 * MIB
# What can go back by itself, since nothing else has to be of the same time.
PARTS = {
    "settings": "settings.yaml",
    "ssh": "ssh",
    "dkim": "mail/dkim",
    "certificates": "mail/tls",
    "credentials": "backup/credentials",
}


def stage_all(
    restic: Restic, snapshot: Snapshot, paths: Paths, report: Report = lambda _: None
) -> Plan:
    """Fetch all of a snapshot; see `_fetch` for the errors. Nothing is put in place by this."""
    state_format, files = _examine(restic, snapshot)
    _fetch(restic, snapshot, paths, files, report, only=())
    _require_settings(paths, snapshot)
    put = sorted({_unit(name) for name in files if PurePosixPath(name).parts[0] not in _STAYS})
    return Plan(snapshot.id, snapshot.time, "everything", state_format, tuple(put))


def stage_person(
    restic: Restic,
    snapshot: Snapshot,
    paths: Paths,
    address: str,
    report: Report = lambda _: None,
) -> Plan:
    """Fetch one person's vault and the sealed mail that is not here any more.

    The vault opens with the passwords that count now, since its data key never changes. Sealed mail
    that is here stays. Raises BackupError when the vault is not in the snapshot, MachineError when
    this machine has no vault of that name, whose key it would need.
    """
    state_format, files = _examine(restic, snapshot)
    vault, spool = _places_of(address)
    _require_vault(paths, address)
    mine = {n: s for n, s in files.items() if n in _with_log(vault) or n.startswith(f"{spool}/")}
    _require_backed_up(vault, mine, snapshot, address)
    only = [name for name in _with_log(vault) if name in mine]
    if len(mine) > len(only):
        only.append(spool)
    _fetch(restic, snapshot, paths, mine, report, only=only)
    absent = (n for n in mine if n not in only and not (paths.state_partition / n).exists())
    # The log first: with another vault's it would be taken for damaged.
    remove = tuple(name for name in _with_log(vault)[1:] if name not in mine)
    put = (*(name for name in only if name != spool), *absent)
    return Plan(snapshot.id, snapshot.time, f"the mail of {address}", state_format, put, remove)


def stage_vault(
    restic: Restic,
    snapshot: Snapshot,
    paths: Paths,
    address: str,
    report: Report = lambda _: None,
) -> dict[str, Path]:
    """Fetch one person's vault alone; the staged files by what follows its name ("", "-wal").

    Raises as `stage_person`.
    """
    files = _examine(restic, snapshot)[1]
    vault = _places_of(address)[0]
    _require_vault(paths, address)
    mine = {name: files[name] for name in _with_log(vault)[:2] if name in files}
    _require_backed_up(vault, mine, snapshot, address)
    _fetch(restic, snapshot, paths, mine, report, only=tuple(mine))
    return {name.removeprefix(vault): paths.staging / name for name in mine}


def _require_vault(paths: Paths, address: str) -> None:
    if not (paths.state_partition / _places_of(address)[0]).is_file():
        raise MachineError(
            f"this machine has no vault of {address} that a backup could take the place of",
            "Restore everything instead, or look at the address.",
        )


def _require_backed_up(
    vault: str, files: Mapping[str, int], snapshot: Snapshot, address: str
) -> None:
    if vault not in files:
        raise BackupError(
            f"the backup of {snapshot.time} has no vault of {address}", "Choose a later one."
        )


def stage_part(
    restic: Restic, snapshot: Snapshot, paths: Paths, name: str, report: Report = lambda _: None
) -> Plan:
    """Fetch one of `PARTS`. MachineError for another name, BackupError when there is none."""
    path = PARTS.get(name)
    if path is None:
        raise MachineError(
            f"{name!r} cannot be restored by itself",
            f"What can: a person's mail, by its address; {', '.join(PARTS)}.",
        )
    state_format, files = _examine(restic, snapshot)
    mine = {n: size for n, size in files.items() if n == path or n.startswith(f"{path}/")}
    if not mine:
        raise BackupError(f"the backup of {snapshot.time} has no {name}", "Choose another one.")
    _fetch(restic, snapshot, paths, mine, report, only=[path])
    if path == SETTINGS:
        _require_settings(paths, snapshot)
    return Plan(snapshot.id, snapshot.time, name, state_format, (path,))


def _require_settings(paths: Paths, snapshot: Snapshot) -> None:
    """Raise SettingsError when the settings that were fetched cannot be used."""
    text = (paths.staging / SETTINGS).read_text(encoding="utf-8")
    parse_settings(text, f"the settings in the backup of {snapshot.time}")


def vault_id(address: str) -> str:
    """The name of a person's first vault (docs/vault.md)."""
    return hashlib.sha256(address.strip().lower().encode()).hexdigest()[:32]


def _places_of(address: str) -> tuple[str, str]:
    person = vault_id(address)
    return f"mail/mailstore/vaults/{person}.vault", f"mail/mailstore/spool/{person}"


def _with_log(vault: str) -> tuple[str, str, str]:
    return vault, f"{vault}-wal", f"{vault}-shm"


def _examine(restic: Restic, snapshot: Snapshot) -> tuple[int, dict[str, int]]:
    """The format of the state and the files of a snapshot; ReleaseError when it is not for us."""
    files = restic.list_files(snapshot.id)
    if FORMAT_FILE not in files or SETTINGS not in files:
        raise BackupError(
            f"snapshot {snapshot.short} is not a backup of a Mailstead machine",
            "Choose another one: mailstead backup restore --list",
        )
    told = [tag.removeprefix(FORMAT_TAG) for tag in snapshot.tags if tag.startswith(FORMAT_TAG)]
    # Earlier versions have no such tag.
    text = told[0] if told else restic.read(snapshot.id, FORMAT_FILE).decode(errors="replace")
    text = text.strip()
    if not text.isdigit() or len(text) > 9:
        raise BackupError(f"snapshot {snapshot.short} does not say which format it has")
    require_readable(int(text), RESTORE_HINT)
    return int(text), files


def _fetch(
    restic: Restic,
    snapshot: Snapshot,
    paths: Paths,
    files: Mapping[str, int],
    report: Report,
    *,
    only: Iterable[str],
) -> None:
    """Have `files` in the staging area and on disk, compared with the repository byte by byte.

    What an earlier try has fetched of the same snapshot stays. Raises BackupError of restic's, and
    MachineError when the disk is too small.
    """
    make_directory(paths.restore, mode=0o700)
    if _text(paths) != snapshot.id:
        shutil.rmtree(paths.staging, ignore_errors=True)
        write_atomic(paths.staged_snapshot, snapshot.id, mode=0o600)
    _require_room(paths, files)
    size = sum(files.values())
    report(f"fetching {len(files)} files, {megabytes(size)}; then all of it is read again")
    make_directory(paths.staging, mode=0o700)
    meter = Meter(report, "fetched", size)
    restic.restore(snapshot.id, paths.staging, only=tuple(only), verify=True, progress=meter)
    wrong = [name for name, size in files.items() if _size(paths, name) != size]
    if wrong:
        raise BackupError(
            f"{len(wrong)} files were not restored as they were, such as {wrong[0]}",
            "Try again; nothing has been put in place.",
        )
    # Written before the plan is: what it names is on disk.
    os.sync()
    report("fetched and compared")


def _require_room(paths: Paths, files: Mapping[str, int]) -> None:
    needed = sum(size for name, size in files.items() if _size(paths, name) != size)
    free = read_disk(paths.state_partition).free
    if needed + _ROOM_LEFT > free:
        raise MachineError(
            f"the restore needs {megabytes(needed + _ROOM_LEFT)}, the disk has {megabytes(free)}",
            "Restore on a machine with a larger disk.",
        )


def _size(paths: Paths, name: str) -> int | None:
    try:
        return (paths.staging / name).lstat().st_size
    except OSError:
        return None


def _text(paths: Paths) -> str:
    try:
        return paths.staged_snapshot.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _unit(name: str) -> str:
    """What is put in place as one: a file or folder at the top, or below one that is divided."""
    parts = PurePosixPath(name).parts
    return "/".join(parts[: 2 if parts[0] in _DIVIDED else 1])

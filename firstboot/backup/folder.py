"""One mail folder out of a backup: its vault of that time, handed to the mail store.

Nobody here can open a vault. The mail store can while the person is logged in: it then puts what
the folder lacks into a folder beside it (`compose/postmaster/storage/restoring.py`). Nothing that
is there now is touched, so nothing has to stop and nobody has to agree.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from firstboot.backup.staging import stage_vault, vault_id
from firstboot.base.errors import MachineError
from firstboot.base.files import make_directory, sync_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.base.progress import Report
from firstboot.system.restic import Restic, Snapshot

FORMAT = 1
MAX_NAME = 255


@dataclass(frozen=True)
class Wanted:
    """Whose folder, by the main address, and which, as a mail program shows it."""

    address: str
    folder: str


def restore_folder(
    restic: Restic,
    snapshot: Snapshot,
    paths: Paths,
    wanted: Wanted,
    report: Report = lambda _: None,
) -> str:
    """Fetch it, and have it wait for the person's next login; return the folder it will be in.

    Interrupted anywhere, nothing has changed, and the same call goes on with what was fetched.
    Raises as `stage_vault`, and MachineError when a restore waits already.
    """
    folder = _readable(wanted.folder)
    if paths.restore_plan.exists():
        raise MachineError(
            "another restore waits to be put in place",
            "Restart the machine, or forget it: mailstead backup restore --cancel",
        )
    if not paths.restored_folders.is_dir():
        raise MachineError("the mail store does not run", "Look at: mailstead status")
    place = paths.restored_folders / _name(wanted.address, snapshot, folder)
    if not place.exists():
        files = stage_vault(restic, snapshot, paths, wanted.address, report)
        hand_over(paths, files, place, folder, snapshot.time)
        shutil.rmtree(paths.restore, ignore_errors=True)
    return f"{folder} (restored {snapshot.time[:10]})"


def drop_folders(paths: Paths) -> int:
    """Forget all folders that wait for a login; how many there were."""
    waiting = sorted(paths.restored_folders.glob("*/"))
    for place in waiting:
        shutil.rmtree(place, ignore_errors=True)
    return len(waiting)


def hand_over(paths: Paths, files: dict[str, Path], place: Path, folder: str, time: str) -> None:
    """Move a vault's files to where the mail store looks, as its user's, whole at any instant.

    `files` by what follows the vault's name; they are on the file system of the state.
    """
    gathered = paths.restored_folder
    shutil.rmtree(gathered, ignore_errors=True)
    make_directory(gathered, mode=0o700)
    wish = {"format": FORMAT, "folder": folder, "time": time}
    write_atomic(gathered / "wish.json", json.dumps(wish) + "\n", mode=0o600)
    owner = paths.restored_folders.stat()
    for suffix, file in files.items():
        file.rename(gathered / f"mail.vault{suffix}")
    for path in (*gathered.iterdir(), gathered):
        os.chown(path, owner.st_uid, owner.st_gid)
        path.chmod(0o700 if path.is_dir() else 0o600)
    os.sync()
    gathered.rename(place)
    sync_directory(place.parent)


def _name(address: str, snapshot: Snapshot, folder: str) -> str:
    """The same for the same wish."""
    return f"{vault_id(address)}.{snapshot.short}.{hashlib.sha256(folder.encode()).hexdigest()[:8]}"


def _readable(folder: str) -> str:
    """The name as the mail store has it. MachineError for what cannot be one."""
    if not folder or not folder.isprintable() or len(folder) > MAX_NAME:
        raise MachineError(
            f"{folder!r} is no name of a mail folder", "Give it as a mail program shows it."
        )
    first, delimiter, rest = folder.partition("/")
    return f"INBOX{delimiter}{rest}" if first.upper() == "INBOX" else folder

"""Removing a person for good: first the files of the mail and what was taught, then the keys.

In this order a cut at any instant leaves something that the same command finishes: as long as the
directory has the keys it also knows which files there are. The other way round a vault without a
key would stay, and be in the way of a new person with the same address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from firstboot.base.change import read_plain
from firstboot.base.files import sync_directory
from firstboot.base.paths import Paths
from firstboot.people.desk import Desk, PersonError

_VAULT = re.compile(r"[0-9a-f]{32}", re.ASCII)


def require_left(paths: Paths, address: str) -> None:
    """Raise PersonError, with what to do, when somebody stands in the settings."""
    people = read_plain(paths.settings).get("people")
    entries = people if isinstance(people, tuple) else ()
    for entry in entries:
        known = entry.get("address") if isinstance(entry, dict) else None
        if isinstance(known, str) and known.casefold() == address.casefold():
            raise PersonError(
                f"{address} still stands in the settings",
                f"Take the person out first: mailstead user leave {known}",
            )


def files_of(paths: Paths, vaults: Sequence[str]) -> list[Path]:
    """Return what there is on the disk of the vaults with these ids."""
    store = paths.state / "mailstore"
    found: list[Path] = []
    for vault in vaults:
        if not _VAULT.fullmatch(vault):
            raise PersonError(f"the directory gave {vault!r} as the id of a vault")
        found += sorted((store / "vaults").glob(f"{vault}.vault*"))
        found += sorted((store / "vaults").glob(f"{vault}.dav*"))
        found += sorted((store / "spool" / vault).glob("*"))
        found += sorted((store / "keys").glob(f"{vault}.key"))
        found += sorted((store / "restored").glob(f"{vault}.*/*"))
    return found


def destroy(paths: Paths, desk: Desk, address: str, vaults: Sequence[str]) -> int:
    """Remove the files of somebody's vaults and what was taught, then have the keys destroyed.

    Returns how many files there were; on return they are gone from the disk. Raises PersonError or
    EngineError.
    """
    files = files_of(paths, vaults)
    try:
        for file in files:
            if file.suffix == ".key":
                _overwrite(file)
            file.unlink()
        for folder in {file.parent for file in files}:
            sync_directory(folder)
        for vault in vaults:
            spool = paths.state / "mailstore/spool" / vault
            if spool.is_dir():
                spool.rmdir()
            for waiting in (paths.state / "mailstore/restored").glob(f"{vault}.*"):
                waiting.rmdir()
    except OSError as error:
        raise PersonError(f"cannot remove the mail of {address}: {error}", "Try again.") from None
    desk.forget_lessons(address)
    desk.ask(("destroy", address))
    return len(files)


def _overwrite(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.write(bytes(file.stat().st_size))
        stream.flush()
        os.fsync(stream.fileno())

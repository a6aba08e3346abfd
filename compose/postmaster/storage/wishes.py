"""Folders out of a backup that wait for a login: what is wanted, and the vault of that time.

Each is a folder `ID.NAME`, ID being the person's, that came here whole, by one rename:

    wish.json     {"format": 1, "folder": "Projects", "time": "2026-11-30T02:14:07Z"}
    mail.vault    the vault as it was in the backup, and its log beside it

Nothing but what is wanted stands in it in clear. One of another format is left alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from postmaster.crypto import PersonId
from postmaster.errors import StorageUnavailableError
from postmaster.files import sync_directory
from postmaster.storage.rows import folder_name

FORMAT = 1
WISH, VAULT = "wish.json", "mail.vault"
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}", re.ASCII)


@dataclass(frozen=True)
class Wish:
    """A folder that is wanted back as it was; `time` is RFC 3339, of the backup."""

    place: Path
    folder: str
    time: str

    @property
    def vault(self) -> Path:
        """The vault of that time."""
        return self.place / VAULT

    @property
    def target(self) -> str:
        """The folder that it is put into."""
        return f"{self.folder} (restored {self.time[:10]})"

    def remove(self) -> None:
        """Remove all of it; what is wanted goes last, so that a cut leaves no vault behind.

        Raises StorageUnavailableError.
        """
        try:
            for suffix in ("", "-wal", "-shm"):
                (self.place / f"{VAULT}{suffix}").unlink(missing_ok=True)
            if self.place.is_dir():
                sync_directory(self.place)
                (self.place / WISH).unlink(missing_ok=True)
                self.place.rmdir()
            sync_directory(self.place.parent)
        except OSError as error:
            raise StorageUnavailableError(f"cannot remove {self.place}: {error}") from error


def waiting(root: Path, person: PersonId) -> list[Wish]:
    """Return what waits for a person, the oldest backup first."""
    found = [read_wish(place) for place in sorted(root.glob(f"{person}.*"))]
    return sorted((wish for wish in found if wish is not None), key=lambda wish: wish.time)


def read_wish(place: Path) -> Wish | None:
    """Return what waits at a place; None for what this release does not understand."""
    try:
        content = json.loads((place / WISH).read_text(encoding="utf-8"))
        folder, time = content["folder"], content["time"]
        if content["format"] != FORMAT or not isinstance(folder, str) or not folder:
            return None
        if not folder.isprintable() or not _TIME.match(time):
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Wish(place, folder_name(folder), time)

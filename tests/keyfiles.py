"""Key files, as the first release made them beside the vaults; nothing but tests makes them now."""

from __future__ import annotations

from pathlib import Path

from postmaster.crypto import DataKey, PersonId
from postmaster.crypto.keys import KEY_FILE_HEADER


def make_key_file(folder: Path, person: PersonId) -> DataKey:
    """Make somebody's key file, with a new key."""
    key = DataKey.random()
    path = folder / f"{person}.key"
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(f"{KEY_FILE_HEADER} {key.secret.hex()}\n", encoding="ascii")
    return key

"""What a client has put into a Maildir."""

from __future__ import annotations

import re
from pathlib import Path

_ID = re.compile(rb"^message-id: *(<[^>]*>)", re.IGNORECASE | re.MULTILINE)


def messages(folder: Path) -> dict[str, Path]:
    """Return the files of a Maildir by Message-ID; one that is there twice is an error."""
    found: dict[str, Path] = {}
    for path in (*folder.glob("cur/*"), *folder.glob("new/*")):
        match = _ID.search(path.read_bytes())
        assert match, f"{path} has no Message-ID"
        identity = match.group(1).decode()
        assert identity not in found, f"{identity} is there twice"
        found[identity] = path
    return found


def flags(path: Path) -> set[str]:
    """Return the flags in the name of a file."""
    return set(path.name.rpartition(":2,")[2]) if ":2," in path.name else set()


def with_flags(path: Path, letters: str) -> Path:
    """Give a file other flags, the way a mail program does."""
    base = path.name.partition(":2,")[0]
    target = path.parent.parent / "cur" / f"{base}:2,{letters}"
    return path.rename(target)

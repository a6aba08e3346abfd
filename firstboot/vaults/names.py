"""Folders as files: names of any mailbox on any file system, and back."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path, PurePath

from firstboot.vaults.mailbox import DELIMITER

# What a path, a shell or another system takes for something else; a dot at the start hides a file.
_UNSAFE = re.compile(r"""[\x00-\x1f\x7f/\\:*?"<>|%]|^\.|^~""")


def path_of(root: Path, folder: str) -> Path:
    """Where a folder lies below `root`: a directory for each level, odd characters as %XX."""
    return root.joinpath(*(_safe(level) for level in folder.split(DELIMITER)))


def folder_of(path: PurePath) -> str:
    """The folder that a path below the root is about."""
    return DELIMITER.join(urllib.parse.unquote(level) for level in path.parts)


def maildir_of(root: Path, folder: str) -> Path:
    """Where a folder lies in a Maildir++: the root is INBOX, `.A.B` is A/B."""
    if folder == "INBOX":
        return root
    levels = (_safe(level).replace(".", "%2E") for level in folder.split(DELIMITER))
    return root / f".{'.'.join(levels)}"


def folder_of_maildir(name: str) -> str:
    """The folder of a directory `.A.B` of a Maildir++."""
    levels = name.removeprefix(".").split(".")
    return DELIMITER.join(urllib.parse.unquote(level) for level in levels)


def _safe(level: str) -> str:
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", level) or "%20"

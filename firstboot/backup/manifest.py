"""The manifest of each backup: whose it is, of which format, and the hash of each file.

The hashes are ours, of the files that were held still, so a test restore also finds what goes wrong
between disk and repository. Files that have not changed since the last backup (path, inode, size,
time of change of content) keep their hash, which hashes.json in the state remembers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from firstboot.backup.contents import UNSTEADY
from firstboot.base.files import write_atomic
from firstboot.system.resticerrors import BackupError

FORMAT = 1
NAME = "backup/manifest.json"
# A tag of each snapshot, before the number of its state's format: a list of them tells, so that
# nothing has to be fetched for it.
FORMAT_TAG = "format-"
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Manifest:
    """`state_format` is that of all files (firstboot.base.state), `version` the release's.

    `created` is RFC 3339, UTC. `files`: path below /state → size in bytes, SHA-256 in hexadecimal;
    without what changes in place (the queue of mail).
    """

    hostname: str
    version: str
    state_format: int
    created: str
    files: Mapping[str, tuple[int, str]] = field(repr=False)

    def dump(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=0) + "\n"


def parse_manifest(text: str) -> Manifest:
    """Read a manifest; BackupError when it is none that this version knows."""
    try:
        data: Any = json.loads(text)
        if data["format"] != FORMAT:
            raise BackupError(
                f"the backup's manifest has format {data['format']}, this version reads {FORMAT}",
                "Use the version of Mailstead that made it, or a newer one.",
            )
        files = {str(path): (int(size), str(sha)) for path, (size, sha) in data["files"].items()}
        return Manifest(
            hostname=str(data["hostname"]),
            version=str(data["version"]),
            state_format=int(data["state_format"]),
            created=str(data["created"]),
            files=files,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError("the backup's manifest cannot be read") from None


def hash_tree(folder: Path, known: Path) -> dict[str, tuple[int, str]]:
    """Size and hash of each file below a folder; `known` remembers those of the last time."""
    remembered = read_hashes(known)
    found: dict[str, tuple[int, str]] = {}
    kept: dict[str, list[Any]] = {}
    for name in _names(folder):
        status = (folder / name).stat()
        key = [status.st_ino, status.st_size, status.st_mtime_ns]
        before = remembered.get(name)
        digest = str(before[3]) if before and before[:3] == key else hash_file(folder / name)
        found[name] = (status.st_size, digest)
        kept[name] = [*key, digest]
    write_atomic(known, json.dumps({"format": FORMAT, "files": kept}) + "\n", mode=0o600)
    return found


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _names(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = (Path(parent) / name).relative_to(folder).as_posix()
            if not path.startswith(UNSTEADY) and path != NAME:
                yield path


def read_hashes(path: Path) -> dict[str, list[Any]]:
    """What is remembered: path → inode, size, time of change in ns, hash."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] == FORMAT:
            return {name: entry for name, entry in data["files"].items() if len(entry) == 4}
    return {}

"""Fingerprints of what goes into a build step: the same inputs give the same name, always."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

# Python writes these beside its sources, and they say nothing that the sources do not.
_IGNORED = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


def fingerprint(*inputs: str | Path) -> str:
    """64 hexadecimal digits for texts, files and whole trees (names, types, modes, contents).

    Times and owners do not count: a fresh checkout has the fingerprint of an old one.
    """
    digest = hashlib.sha256()
    for item in inputs:
        if isinstance(item, str):
            _feed(digest, "text", item.encode())
            continue
        for path in walk(item):
            status = path.lstat()
            # With the name of the item itself, but not with where it lies.
            name = path.relative_to(item.parent).as_posix()
            if path.is_symlink():
                _feed(digest, f"link {name}", os.fsencode(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                executable = bool(status.st_mode & 0o100)
                _feed(digest, f"file {name} {executable}", path.read_bytes())
            else:
                _feed(digest, f"folder {name}", b"")
    return digest.hexdigest()


def walk(root: Path) -> Iterator[Path]:
    """`root` and all below it in a fixed order, without what Python leaves beside its sources."""
    yield root
    if root.is_dir() and not root.is_symlink():
        for child in sorted(root.iterdir()):
            if child.name not in _IGNORED:
                yield from walk(child)


def _feed(digest: hashlib._Hash, label: str, content: bytes) -> None:
    # Lengths first, or two different lists of inputs could run together to the same bytes.
    for part in (label.encode(), content):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)

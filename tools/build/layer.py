"""Turns file trees into container layers: a tar of what a tree has beyond the tree below it.

The result depends on contents alone: names are sorted, times are one time, owners are numbers.
Whiteouts are as in the OCI image specification ("Filesystem Layers").
"""

from __future__ import annotations

import filecmp
import os
import stat
import tarfile
from pathlib import Path

WHITEOUT = ".wh."
# The one extended attribute that belongs to an image: others, such as labels, are the host's.
_CAPABILITY = "security.capability"


def write_layer(tree: Path, below: Path | None, output: Path, *, mtime: int) -> None:
    """Write to `output` the uncompressed layer that makes `tree` out of `below` (None: nothing).

    `mtime`, in seconds since 1970, is given to every entry.
    """
    with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as layer:
        _add_changes(layer, tree, below, Path(), mtime)


def _add_changes(
    layer: tarfile.TarFile, tree: Path, below: Path | None, folder: Path, mtime: int
) -> None:
    names = _names(tree / folder)
    old = _names(below / folder) if below else set()
    for name in sorted(old - names):
        _add_whiteout(layer, folder / name, mtime)
    for name in sorted(names):
        path = tree / folder / name
        lower = below / folder / name if below and name in old else None
        if lower is None or not _same(path, lower):
            _add(layer, path, folder / name, mtime)
        if path.is_dir() and not path.is_symlink():
            kept = lower if lower and lower.is_dir() and not lower.is_symlink() else None
            _add_changes(layer, tree, below if kept else None, folder / name, mtime)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _same(path: Path, lower: Path) -> bool:
    """Whether two entries are alike in everything that a layer records but the time."""
    new, old = path.lstat(), lower.lstat()
    if (new.st_mode, new.st_uid, new.st_gid) != (old.st_mode, old.st_uid, old.st_gid):
        return False
    if stat.S_ISLNK(new.st_mode):
        return path.readlink() == lower.readlink()
    if stat.S_ISREG(new.st_mode):
        alike = new.st_size == old.st_size and _capability(path) == _capability(lower)
        return alike and filecmp.cmp(path, lower, shallow=False)
    return stat.S_ISDIR(new.st_mode) or new.st_rdev == old.st_rdev


def _add(layer: tarfile.TarFile, path: Path, name: Path, mtime: int) -> None:
    info = layer.gettarinfo(path, arcname=name.as_posix())
    # A socket, which no layer can carry and no package ships.
    if info is None:
        return
    info.mtime, info.uname, info.gname = mtime, "", ""
    # A second name of a file that this layer has already is a link to the first, of no size.
    if info.isfile():
        if capability := _capability(path):
            info.pax_headers = {f"SCHILY.xattr.{_CAPABILITY}": capability}
        with path.open("rb") as content:
            layer.addfile(info, content)
    else:
        layer.addfile(info)


def _capability(path: Path) -> str:
    """What a program may do besides (capabilities(7)) as tar carries it, "" for nothing."""
    try:
        value = os.getxattr(path, _CAPABILITY, follow_symlinks=False)
    except OSError:
        return ""
    return value.decode("utf-8", "surrogateescape")


def _add_whiteout(layer: tarfile.TarFile, name: Path, mtime: int) -> None:
    info = tarfile.TarInfo(name.with_name(WHITEOUT + name.name).as_posix())
    info.mtime = mtime
    layer.addfile(info)

"""Puts a published release into one file, for machines that upgrade from a file or a USB stick."""

from __future__ import annotations

import datetime
import os
import tarfile
from pathlib import Path

from firstboot.base.files import sync_directory
from firstboot.base.manifest import Manifest
from tools.publish.errors import PublishError
from tools.publish.folder import ENVELOPE


def bundle_name(version: str) -> str:
    """How a bundle is called; on a stick machines find it by this name."""
    return f"mailstead_{version}.tar"


def write_bundle(to: Path, manifest: Manifest, target: Path) -> Path:
    """Write the bundle of a release that is published in `to`; the path of the file.

    It holds the envelope, which comes first, and each part as a whole, under the names that they
    have in `to`. Where `target` is a directory the file gets its usual name there. The same release
    gives the same bytes. PublishError when it cannot be written.
    """
    if target.is_dir():
        target /= bundle_name(manifest.version)
    unfinished = target.with_name(f".{target.name}.new")
    names = [f"{manifest.version}/{ENVELOPE}", *(part.full.path for part in manifest.parts)]
    mtime = int(datetime.datetime.fromisoformat(manifest.built).timestamp())
    try:
        with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as archive:
            for name in names:
                _add(archive, to / name, name, mtime)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        raise PublishError(
            f"{error.filename or target} cannot be written: {error.strerror}",
            "The release itself is published.",
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _add(archive: tarfile.TarFile, path: Path, name: str, mtime: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = path.stat().st_size, mtime, 0o644
    with path.open("rb") as file:
        archive.addfile(info, file)

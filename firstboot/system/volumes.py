"""Volumes that carry a seed or backups: found with lsblk(8), mounted with mount(8)."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstboot.base.errors import MachineError
from firstboot.base.run import run

LABEL = "MAILSTEAD"
# UEFI specification, "GPT Partition Entry": EFI System Partition.
ESP_TYPE = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

MAX_FILE_BYTES = 4_000_000
_COLUMNS = "PATH,LABEL,PARTTYPE,FSTYPE,MOUNTPOINT"


@dataclass(frozen=True)
class Volume:
    """A block device with a file system; `mounted` is where it is mounted already."""

    device: Path
    label: str
    esp: bool
    mounted: Path | None

    @property
    def seed(self) -> bool:
        """Whether it is labelled as a carrier of settings (FAT labels are in capitals)."""
        return self.label.upper() == LABEL


def list_volumes() -> tuple[Volume, ...]:
    """All block devices with a file system; CommandError when lsblk fails."""
    listed = run(["lsblk", "--json", "--list", "--output", _COLUMNS], timeout=60)
    try:
        entries = json.loads(listed.stdout)["blockdevices"]
        return tuple(_volume(entry) for entry in entries if entry.get("fstype"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MachineError("lsblk gave no list of block devices") from None


@contextlib.contextmanager
def mounted(volume: Volume, *, runtime: Path, writable: bool = False) -> Iterator[Path]:
    """The volume's root directory, read-only unless `writable` or mounted before."""
    if volume.mounted is not None:
        yield volume.mounted
        return
    runtime.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="volume-", dir=runtime))
    try:
        options = f"{'rw' if writable else 'ro'},nosuid,nodev,noexec"
        run(["mount", "--options", options, volume.device, directory], timeout=60)
        try:
            yield directory
        finally:
            run(["umount", directory], timeout=60)
    finally:
        # A mount point that is still busy lies on tmpfs and goes with the next boot.
        with contextlib.suppress(OSError):
            directory.rmdir()


def read_file(volume: Volume, name: str, *, runtime: Path) -> bytes | None:
    """A regular file in the volume's root directory, None when there is none of that name.

    Raises CommandError when the volume cannot be mounted, MachineError when the file cannot be
    read or is longer than any settings could be.
    """
    with mounted(volume, runtime=runtime) as directory:
        try:
            content = _read_regular(directory / name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MachineError(f"{name} on {volume.device}: {error.strerror}") from None
    if content is None:
        raise MachineError(f"{name} on {volume.device} is not a regular file")
    if len(content) > MAX_FILE_BYTES:
        raise MachineError(f"{name} on {volume.device} is longer than {MAX_FILE_BYTES} bytes")
    return content


def _read_regular(path: Path) -> bytes | None:
    """A file's content, None when it is none; neither follows links nor waits for pipes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)


def _volume(entry: dict[str, Any]) -> Volume:
    mountpoint = entry.get("mountpoint")
    return Volume(
        device=Path(entry["path"]),
        label=entry.get("label") or "",
        esp=(entry.get("parttype") or "").lower() == ESP_TYPE,
        mounted=Path(mountpoint) if mountpoint else None,
    )

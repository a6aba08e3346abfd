"""Writing files so that power may go at any instant: the old content or the new, never a mix."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomic(
    path: Path, data: str | bytes, *, mode: int = 0o644, owner: int | None = None
) -> None:
    """Write `data` to `path`, which holds the old content or all of the new at any instant.

    The file gets exactly `mode`, and uid and gid `owner` unless that is None. On return content
    and name are on disk. A file left half-written by a power cut has a fixed name beside the
    target and is replaced by the next call; two writers of one path at a time are not supported.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    # 0600 until owner and mode are right, so that no one else opens a secret in between.
    with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        if owner is not None:
            os.fchown(file.fileno(), owner, owner)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def write_if_changed(
    path: Path, data: str | bytes, *, mode: int = 0o644, owner: int | None = None
) -> bool:
    """`write_atomic`, but leave a file alone that already is as wanted. True when written.

    A running container that has the file mounted keeps seeing it only as long as it is the same
    inode, so needless replacing has a price.
    """
    content = data.encode() if isinstance(data, str) else data
    if path.is_file() and not path.is_symlink():
        status = path.stat()
        right_owner = owner is None or (status.st_uid, status.st_gid) == (owner, owner)
        if right_owner and status.st_mode & 0o7777 == mode and path.read_bytes() == content:
            return False
    write_atomic(path, content, mode=mode, owner=owner)
    return True


def make_directory(path: Path, *, mode: int = 0o755, owner: int | None = None) -> None:
    """Make `path` (its parents too, 0755) and give it `mode` and `owner`, also when it is there."""
    path.mkdir(parents=True, exist_ok=True)
    status = path.stat()
    if owner is not None and (status.st_uid, status.st_gid) != (owner, owner):
        os.chown(path, owner, owner)
    if status.st_mode & 0o7777 != mode:
        path.chmod(mode)


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to disk (fsync(2): needed beside the fsync of the file)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

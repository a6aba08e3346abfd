"""Makes the files that machines fetch: whole parts, and deltas between two versions of a part.

rdiff(1), of librsync, makes the deltas; docs/publish.md tells why it and no other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import CommandError
from firstboot.base.manifest import Transfer
from firstboot.base.run import run
from tools.publish.errors import PublishError

# Each step up from here takes much longer and saves little: docs/publish.md has the figures.
_FULL_LEVEL = "-10"
# A delta is small, and everybody fetches it.
_DELTA_LEVEL = "-19"
# Blocks of the file system have 4,096 bytes, but its inodes 32 or 64, and hashes 32. Small blocks
# make small deltas, for more memory on this host only.
_BLOCK_BYTES = 512
# A delta that saves less than this is not worth its time on the machine that applies it.
_WORTH = 0.6


@dataclass(frozen=True)
class Base:
    """A part of an older version, as it is on machines that run that version."""

    version: str
    path: Path
    sha256: str


def file_sha256(path: Path) -> str:
    """The hash of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compress(source: Path, target: Path, name: str) -> Transfer:
    """Write the whole of `source`, compressed, to `target`; `name` is its published path."""
    _zstd(_FULL_LEVEL, source, target)
    return _transfer(target, name)


def decompress(source: Path, target: Path) -> None:
    """Undo `compress`; PublishError when `source` is damaged."""
    try:
        run(["zstd", "--decompress", "--quiet", "--force", "--no-sparse", source, "-o", target])
    except CommandError as error:
        raise PublishError(f"{source} cannot be unpacked: {error.message}") from None


def make_delta(
    base: Base, part: Path, target: Path, name: str, *, full: Transfer, work: Path
) -> Transfer | None:
    """Write a delta from `base` to `part`, compressed, to `target`.

    None, and no file, when it is not enough smaller than `full`. `work` is a folder for files that
    are as large as the part. Raises PublishError when applying the delta does not give `part`.
    """
    signature, delta, rebuilt = work / "signature", work / "delta", work / "rebuilt"
    try:
        block = f"--block-size={_BLOCK_BYTES}"
        run(["rdiff", "--force", block, "signature", base.path, signature])
        run(["rdiff", "--force", "delta", signature, part, delta])
        _zstd(_DELTA_LEVEL, delta, target)
        found = _transfer(target, name)
        if found.bytes > full.bytes * _WORTH:
            target.unlink()
            return None
        # What machines do with it, and from the very file that they fetch.
        decompress(target, delta)
        run(["rdiff", "--force", "patch", base.path, delta, rebuilt])
        if file_sha256(rebuilt) != file_sha256(part):
            target.unlink()
            raise PublishError(
                f"the delta {name} does not give {part.name}, so nothing is published",
                "Publish again. If it stays so, rdiff or the memory of this host is broken.",
            )
    finally:
        for path in (signature, delta, rebuilt):
            path.unlink(missing_ok=True)
    return found.model_copy(update={"base": base.version, "base_sha256": base.sha256})


def _zstd(level: str, source: Path, target: Path) -> None:
    run(["zstd", "--quiet", "--force", "-T0", level, source, "-o", target])
    # zstd hands on the mode of its input, which may be for the eyes of whoever built it only.
    target.chmod(0o644)


def _transfer(path: Path, name: str) -> Transfer:
    return Transfer(path=name, bytes=path.stat().st_size, sha256=file_sha256(path))

"""From a manifest to the parts of a slot in `ready/`: fetched, unpacked, verified.

The order of writes, so that power may go at any instant:

1. `download/HASH` grows with what comes in. The next attempt goes on from there.
2. When its hash is right it is unpacked, or applied to the running slot's part, into
   `ready/.NAME.new`; a delta is unpacked to `download/HASH.delta` first.
3. When that has the size and hash of the part, it is brought to disk and renamed to `ready/NAME`.
   Only then does `download/HASH` go.

A name in `ready/` thus stands for a whole part. All the same each is hashed again before it is
used, and whatever belongs to another version is removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from firstboot.base.errors import CommandError, MachineError, UpdateRefusedError
from firstboot.base.files import make_directory, sync_directory
from firstboot.base.manifest import Manifest, Part, Role, Transfer
from firstboot.base.paths import Paths
from firstboot.base.progress import Meter, Report
from firstboot.system import rdiff, zstd
from firstboot.system.http import MissingFileError
from firstboot.update.source import Source

_ENDINGS: Mapping[Role, str] = {"verity": "verity", "signature": "sig", "root": "root"}
_HASH_CHUNK = 1 << 20


class WrongContentError(UpdateRefusedError):
    """What was fetched, or what came of it, does not have the hash in the manifest."""


@dataclass(frozen=True)
class Step:
    """How one part is obtained: `base` is what a delta is applied to, None for a whole part."""

    part: Part
    name: str
    transfer: Transfer
    base: Path | None

    @property
    def whole(self) -> Step:
        """The same without the delta."""
        return replace(self, transfer=self.part.full, base=None)

    @property
    def most_unpacked(self) -> int:
        """The most bytes a delta may unpack to: the whole part, as commands that say so."""
        return self.part.bytes + self.part.bytes // 8 + (1 << 20)


def ready_name(manifest: Manifest, part: Part) -> str:
    """How a part is called for systemd-sysupdate: the transfer definitions know these names."""
    if part.uuid is None:
        return f"mailstead_{manifest.version}.efi"
    return f"mailstead_{manifest.version}_{part.uuid}.{_ENDINGS[part.role]}"


def plan(
    manifest: Manifest, running: str, bases: Mapping[Role, Path], *, deltas: bool
) -> tuple[Step, ...]:
    """For each part the smallest transfer: `bases` are the parts of the version `running`."""
    steps = []
    for part in manifest.parts:
        whole = Step(part, ready_name(manifest, part), part.full, None)
        fit = [t for t in part.deltas if t.base == running and part.role in bases]
        delta = min(fit, key=lambda transfer: transfer.bytes, default=None)
        if deltas and delta is not None and delta.bytes < part.full.bytes:
            steps.append(replace(whole, transfer=delta, base=bases[part.role]))
        else:
            steps.append(whole)
    return tuple(steps)


def transfer_bytes(steps: Iterable[Step]) -> int:
    """How much is fetched if nothing is there yet."""
    return sum(step.transfer.bytes for step in steps)


def needed_bytes(steps: Sequence[Step], paths: Paths) -> int:
    """How much more room the work takes at its peak, given what is there already."""
    parts, peak = 0, 0
    for step in steps:
        if _size(paths.ready / step.name) == step.part.bytes:
            continue
        parts += step.part.bytes
        missing = step.transfer.bytes - _size(paths.downloads / step.transfer.sha256)
        peak = max(peak, missing + (step.most_unpacked if step.base else 0))
    return parts + peak


def assemble(steps: Sequence[Step], source: Source, paths: Paths, report: Report) -> bool:
    """Bring every part into `ready/`; True when a delta was of use.

    Raises TransferError when the source does not give what it should, UpdateRefusedError when that
    is not what was signed, MachineError when the disk cannot be written.
    """
    used = False
    with disk_errors(paths.updates):
        make_directory(paths.updates, mode=0o700)
        for folder in (paths.downloads, paths.ready):
            make_directory(folder, mode=0o700)
        _remove_others(steps, paths)
        for step in steps:
            if matches(paths.ready / step.name, step.part):
                continue
            if step.base is not None and _obtain_by_delta(step, source, paths, report):
                used = True
                continue
            _obtain(step.whole, source, paths, report)
    return used


def clear(paths: Paths) -> None:
    """Remove all that was fetched."""
    for folder in (paths.ready, paths.downloads):
        with contextlib.suppress(FileNotFoundError):
            for path in folder.iterdir():
                path.unlink()


def matches(path: Path, part: Part) -> bool:
    """Whether the file is this part, by size and hash."""
    return _size(path) == part.bytes and hash_of(path, part.bytes) == part.sha256


def hash_of(path: Path, size: int, *, cached: bool = True) -> str:
    """SHA-256 of the first `size` bytes; with `cached=False` as they are on the disk itself."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if not cached:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while size > 0 and (chunk := file.read(min(_HASH_CHUNK, size))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


def _obtain_by_delta(step: Step, source: Source, paths: Paths, report: Report) -> bool:
    """Whether it worked; if not, the whole part has to be fetched, which is reported."""
    try:
        _obtain(step, source, paths, report)
    except (CommandError, MissingFileError, WrongContentError) as error:
        first = str(error).splitlines()[0]
        report(f"{step.part.role}: the delta is of no use ({first}); fetching the whole")
        (paths.downloads / step.transfer.sha256).unlink(missing_ok=True)
        return False
    return True


def _obtain(step: Step, source: Source, paths: Paths, report: Report) -> None:
    fetched = paths.downloads / step.transfer.sha256
    _fetch(step, source, fetched, report)
    new = paths.ready / f".{step.name}.new"
    try:
        if step.base is None:
            report(f"{step.part.role}: unpacking")
            zstd.decompress(fetched, new, limit=step.part.bytes)
        else:
            report(f"{step.part.role}: applying the delta")
            delta = fetched.with_name(f"{fetched.name}.delta")
            zstd.decompress(fetched, delta, limit=step.most_unpacked)
            rdiff.patch(step.base, delta, new, limit=step.part.bytes)
            delta.unlink()
        if not matches(new, step.part):
            raise WrongContentError(
                f"the {step.part.role} made from {step.transfer.path} is not what was signed",
                "The release is not consistent: tell whoever published it.",
            )
        _bring_to_disk(new)
        new.replace(paths.ready / step.name)
        sync_directory(paths.ready)
    finally:
        for leftover in (new, fetched.with_name(f"{fetched.name}.delta")):
            leftover.unlink(missing_ok=True)
    fetched.unlink()


def _fetch(step: Step, source: Source, target: Path, report: Report) -> None:
    """The transfer with its right hash; what an earlier attempt left is not trusted to the end."""
    transfer = step.transfer
    found = _size(target)
    if found:
        report(f"{step.part.role}: going on after {found} of {transfer.bytes} bytes")
    for resumed in (found > 0, False):
        meter = Meter(report, step.part.role, transfer.bytes)
        source.fetch(transfer.path, target, transfer.bytes, meter)
        if hash_of(target, transfer.bytes) == transfer.sha256:
            return
        target.unlink()
        if not resumed:
            break
        report(f"{step.part.role}: what was there is damaged; fetching it anew")
    raise WrongContentError(
        f"{transfer.path} from {source.name} is not what was signed",
        "It was changed on its way, or the release is not complete. Nothing was installed.",
    )


def _remove_others(steps: Sequence[Step], paths: Paths) -> None:
    wanted = {step.name for step in steps}
    wanted |= {transfer.sha256 for step in steps for transfer in (step.transfer, step.part.full)}
    for folder in (paths.ready, paths.downloads):
        for path in folder.iterdir():
            if path.name not in wanted:
                path.unlink()


def _bring_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what goes wrong with a disk into an error for people; `folder` is what is written."""
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"{error.filename or folder}: {error.strerror or error}",
            "The disk may be full, or damaged: `mailstead check` tells more.",
        ) from None

"""The published directory: what is in it, who may change it, and how a cut is recovered from.

The order of writes, so that a reader never sees a manifest without its files:

1. `.VERSION.new/` is filled and brought to disk; `.VERSION.work/` is only needed meanwhile.
2. `.VERSION.begun` notes that VERSION is coming; `.VERSION.new` is renamed to `VERSION`.
3. The channel's file is replaced, stable.json before candidate.json, and `.VERSION.begun` goes.
4. Old versions go, each renamed to `.VERSION.old` first.

Whatever a cut leaves behind begins with a dot, and `mend` takes it away: a VERSION that is noted as
coming and that no channel names goes, too.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import ReleaseError
from firstboot.base.files import make_directory, sync_directory, write_atomic
from firstboot.base.manifest import (
    Channel,
    Envelope,
    Manifest,
    dump_envelope,
    parse_envelope,
    parse_manifest,
    version_key,
)
from tools.host.cache import remove
from tools.publish.errors import PublishError

ENVELOPE = "release.json"
# In the order in which they are written: what is stable, candidates get as well.
CHANNELS: tuple[Channel, ...] = ("stable", "candidate")

_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
_CHANNEL = "|".join(CHANNELS)
_LEFTOVER = re.compile(rf"\.\d+\.\d+\.\d+\.(new|work|old)|\.({_CHANNEL})\.json\.new", re.ASCII)
_BEGUN = re.compile(r"\.(\d+\.\d+\.\d+)\.begun", re.ASCII)


@dataclass(frozen=True)
class Published:
    """What a directory holds: every release by its version, and the newest one of each channel.

    Signatures are not looked at.
    """

    folder: Path
    releases: Mapping[str, Manifest]
    heads: Mapping[Channel, Manifest]

    @property
    def versions(self) -> list[str]:
        """All versions, the newest first."""
        return sorted(self.releases, key=version_key, reverse=True)

    def older(self, version: str) -> list[str]:
        """The versions that are older than `version`, the newest first."""
        return [other for other in self.versions if version_key(other) < version_key(version)]

    def is_newer(self, version: str, channel: Channel) -> bool:
        """Whether `version` is newer than everything in `channel`."""
        head = self.heads.get(channel)
        return head is None or version_key(version) > version_key(head.version)

    def kept(self, keep: int) -> set[str]:
        """The versions that stay when the `keep` newest do.

        So do those that a channel names, and those that a kept one demands to be upgraded to first.
        """
        kept: set[str] = set()
        wanted = [*self.versions[:keep], *(head.version for head in self.heads.values())]
        while wanted:
            version = wanted.pop()
            if version in self.releases and version not in kept:
                kept.add(version)
                wanted.append(self.releases[version].minimum_version)
        return kept


def read_published(folder: Path) -> Published:
    """Look into a directory, which need not exist yet; ReleaseError when a manifest is damaged."""
    releases: dict[str, Manifest] = {}
    for path in sorted(folder.glob(f"*/{ENVELOPE}")):
        version = path.parent.name
        if _VERSION.fullmatch(version):
            releases[version] = _manifest(path)
            if releases[version].version != version:
                raise PublishError(f"{path} is that of version {releases[version].version}")
    heads: dict[Channel, Manifest] = {}
    for channel in CHANNELS:
        path = folder / f"{channel}.json"
        if path.exists():
            heads[channel] = _manifest(path)
    return Published(folder, releases, heads)


def read_envelope(path: Path) -> Envelope:
    """The envelope in a file; nothing in it is trusted. ReleaseError when it is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"{path} cannot be read: {error.strerror}") from None
    return parse_envelope(data, str(path))


@contextmanager
def publishing(folder: Path) -> Iterator[Published]:
    """Have a directory to oneself, made if need be and mended; PublishError when another has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # The lock goes with the descriptor, however this process ends.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mend(folder)
            yield read_published(folder)
        finally:
            os.close(descriptor)
    except BlockingIOError:
        raise PublishError(
            f"another process is publishing into {folder}", "Wait until it is done."
        ) from None
    except OSError as error:
        raise PublishError(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            "Mend that and publish again; what machines see is still what it was.",
        ) from None


def mend(folder: Path) -> None:
    """Bring a directory whose publisher was cut off to the state before, or to the one after."""
    heads = read_published(folder).heads
    named = {head.version for head in heads.values()}
    for path in sorted(folder.iterdir()):
        if _LEFTOVER.fullmatch(path.name):
            remove(path)
        elif begun := _BEGUN.fullmatch(path.name):
            if begun[1] not in named:
                withdraw(folder, begun[1])
            path.unlink()
    for path in folder.glob(f"*/.{ENVELOPE}.new"):
        path.unlink()
    if stable := heads.get("stable"):
        _finish_stable(folder, stable, heads)


@contextmanager
def adding(folder: Path, version: str) -> Iterator[Path]:
    """A new empty folder that becomes VERSION when the block ends well, else vanishes.

    No channel names it before `announce` does. PublishError when there is something of that name.
    """
    new, target, begun = folder / f".{version}.new", folder / version, _begun(folder, version)
    if target.exists():
        raise PublishError(
            f"{target} exists already",
            "Raise the version, or give that release to all with --promote and --channel stable.",
        )
    try:
        make_directory(new)
        yield new
        _sync_tree(new)
        begun.touch()
        sync_directory(folder)
        new.rename(target)
        sync_directory(folder)
    finally:
        remove(new)


@contextmanager
def working(folder: Path, version: str) -> Iterator[Path]:
    """A folder for what is only needed while VERSION is made; gone after the block."""
    work = folder / f".{version}.work"
    make_directory(work, mode=0o700)
    try:
        yield work
    finally:
        remove(work)


def announce(folder: Path, envelope: Envelope) -> None:
    """Make a version that is there the newest of its channel; a stable one of both."""
    manifest = parse_manifest(envelope.manifest, "the new release")
    if manifest.channel == "stable":
        _write(folder / "stable.json", envelope)
        _finish_stable(folder, manifest, read_published(folder).heads)
    else:
        _write(folder / "candidate.json", envelope)
    _begun(folder, manifest.version).unlink(missing_ok=True)


def prune(published: Published, keep: int) -> list[str]:
    """Remove the versions that `kept` does not name; returns them, the newest first."""
    kept = published.kept(keep)
    gone = [version for version in published.versions if version not in kept]
    for version in gone:
        withdraw(published.folder, version)
    return gone


def withdraw(folder: Path, version: str) -> None:
    """Remove a version, at once for whoever looks."""
    old = folder / f".{version}.old"
    remove(old)
    if (folder / version).exists():
        (folder / version).rename(old)
        sync_directory(folder)
        remove(old)


def _finish_stable(folder: Path, stable: Manifest, heads: Mapping[Channel, Manifest]) -> None:
    """What follows from stable.json: the candidate is not older, and the release says the same.

    A candidate that was promoted has a new manifest; until here the former one stands there.
    """
    envelope = read_envelope(folder / "stable.json")
    candidate = heads.get("candidate")
    paths = [folder / stable.version / ENVELOPE]
    if candidate is None or version_key(candidate.version) <= version_key(stable.version):
        paths.append(folder / "candidate.json")
    for path in paths:
        if path.parent.is_dir() and (not path.exists() or read_envelope(path) != envelope):
            _write(path, envelope)


def _write(path: Path, envelope: Envelope) -> None:
    write_atomic(path, dump_envelope(envelope))


def _begun(folder: Path, version: str) -> Path:
    return folder / f".{version}.begun"


def _manifest(path: Path) -> Manifest:
    return parse_manifest(read_envelope(path).manifest, str(path))


def _sync_tree(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_directory(folder)

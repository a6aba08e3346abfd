"""Where a release is fetched from: a published directory over HTTP, or on a disk, or in a bundle.

None of them is trusted: names are fixed or come from a signed manifest, no more is copied than was
announced, and what it is decide the hashes. See firstboot.base.manifest for the layout.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from firstboot.base.errors import ReleaseError, UpdateRefusedError
from firstboot.base.manifest import MAX_ENVELOPE, Channel, version_key
from firstboot.system import http
from firstboot.system.http import MissingFileError, TransferError
from firstboot.system.volumes import LABEL, Volume, list_volumes, mounted

Progress = Callable[[int], None]

_BUNDLE = re.compile(r"mailstead_(?P<version>[0-9.]+)\.tar", re.ASCII)
_ENVELOPE = re.compile(r"(\./)?(?P<version>[0-9.]+)/release\.json", re.ASCII)
_COPY = 1 << 20
_HINT = "The file is damaged or not complete: copy it again."


@dataclass(frozen=True)
class _File:
    """An open file with the size that it should have; `name` is for people."""

    file: IO[bytes]
    size: int
    name: str

    def short(self) -> bytes:
        """The whole of an envelope."""
        data = self.file.read(MAX_ENVELOPE + 1)
        if len(data) > MAX_ENVELOPE:
            raise TransferError(f"{self.name} is longer than {MAX_ENVELOPE} bytes", _HINT)
        return data

    def copy(self, target: Path, size: int, progress: Progress) -> None:
        """What http.download does."""
        if self.size != size:
            raise TransferError(f"{self.name} has {self.size} bytes, announced are {size}", _HINT)
        done = target.stat().st_size if target.exists() else 0
        if done > size:
            target.unlink()
            done = 0
        self.file.seek(done)
        with target.open("ab") as copy:
            while done < size:
                chunk = self.file.read(min(_COPY, size - done))
                if not chunk:
                    raise TransferError(f"{self.name} ends after {done} of {size} bytes", _HINT)
                copy.write(chunk)
                done += len(chunk)
                progress(done)
            copy.flush()
            os.fsync(copy.fileno())


class Source(Protocol):
    """Something that releases are fetched from; `name` is for people."""

    @property
    def name(self) -> str: ...

    @property
    def network(self) -> bool:
        """Whether it is reached over the network."""

    @property
    def deltas(self) -> bool:
        """Whether it may have deltas."""

    def envelope(self, version: str | None) -> bytes:
        """The envelope of a version, or of the newest one; not verified."""

    def fetch(self, path: str, target: Path, size: int, progress: Progress) -> None:
        """Bring `target` to `size` bytes of the file `path`, going on from what it holds.

        Raises TransferError, MissingFileError when there is no such file.
        """


@dataclass(frozen=True)
class Server:
    """A published directory that a web server shows at `url`; the newest is that of `channel`."""

    url: str
    channel: Channel
    network: bool = True
    deltas: bool = True

    @property
    def name(self) -> str:
        return self.url

    def envelope(self, version: str | None) -> bytes:
        path = f"{version}/release.json" if version else f"{self.channel}.json"
        return http.read(self._url(path), MAX_ENVELOPE)

    def fetch(self, path: str, target: Path, size: int, progress: Progress) -> None:
        http.download(self._url(path), target, size, progress)

    def _url(self, path: str) -> str:
        return f"{self.url.rstrip('/')}/{path}"


@dataclass(frozen=True)
class Folder:
    """A published directory on a disk; the newest version in it, whatever its channel."""

    path: Path
    network: bool = False
    deltas: bool = True

    @property
    def name(self) -> str:
        return str(self.path)

    def envelope(self, version: str | None) -> bytes:
        if version is None:
            names = [f"{entry.name}/release.json" for entry in self.path.iterdir()]
            version = _newest(names, _ENVELOPE)
        if version is None:
            raise MissingFileError(f"{self.path} has no release in it")
        with self._opened(f"{version}/release.json") as found:
            return found.short()

    def fetch(self, path: str, target: Path, size: int, progress: Progress) -> None:
        with self._opened(path) as found:
            found.copy(target, size, progress)

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[_File]:
        """A regular file; a pipe or a device is not waited for."""
        full = self.path / path
        try:
            descriptor = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise MissingFileError(f"{full} does not exist") from None
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise TransferError(f"{full} is not a regular file")
            yield _File(file, status.st_size, str(full))


@dataclass(frozen=True)
class Bundle:
    """One tar file with the envelope and the files of a release (`tools/forge publish`)."""

    path: Path
    archive: tarfile.TarFile
    network: bool = False
    deltas: bool = False

    @property
    def name(self) -> str:
        return str(self.path)

    def envelope(self, version: str | None) -> bytes:
        version = version or _newest(self.archive.getnames(), _ENVELOPE)
        if version is None:
            raise MissingFileError(f"{self.path} has no release in it", _HINT)
        return self._member(f"{version}/release.json").short()

    def fetch(self, path: str, target: Path, size: int, progress: Progress) -> None:
        self._member(path).copy(target, size, progress)

    def _member(self, name: str) -> _File:
        for candidate in (name, f"./{name}"):
            with contextlib.suppress(KeyError):
                member = self.archive.getmember(candidate)
                # A link could name anything; only what lies in the bundle itself counts.
                file = self.archive.extractfile(member) if member.isreg() else None
                if file is not None:
                    return _File(file, member.size, f"{name} in {self.path}")
        raise MissingFileError(f"{self.path} does not contain {name}", _HINT)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The published directory or the bundle at `path`; UpdateRefusedError when it is neither."""
    with _told(path):
        if path.is_dir():
            yield Folder(path)
            return
        with tarfile.open(path, "r:") as archive:
            yield Bundle(path, archive)


@contextlib.contextmanager
def opened_volume(version: str | None, runtime: Path) -> Iterator[Source]:
    """A release on a volume labelled MAILSTEAD: a bundle, or a published directory, at its top."""
    for volume in list_volumes():
        if volume.seed:
            with _release_on(volume, version, runtime) as found:
                if found is not None:
                    yield found
                    return
    wanted = f"mailstead_{version or 'VERSION'}.tar"
    raise UpdateRefusedError(
        f"no volume labelled {LABEL} has a release on it",
        f"Put {wanted}, or a published directory, at the top of a volume with that label.",
    )


@contextlib.contextmanager
def _release_on(volume: Volume, version: str | None, runtime: Path) -> Iterator[Source | None]:
    with mounted(volume, runtime=runtime) as top, _told(top):
        names = [entry.name for entry in top.iterdir()]
        newest = version or _newest(names, _BUNDLE)
        if newest and f"mailstead_{newest}.tar" in names:
            with opened(top / f"mailstead_{newest}.tar") as bundle:
                yield bundle
        elif _newest([f"{name}/release.json" for name in names], _ENVELOPE):
            yield Folder(top)
        else:
            yield None


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file or a medium into an error for people."""
    try:
        yield
    except tarfile.TarError as error:
        raise UpdateRefusedError(f"{path} is not a bundle of a release: {error}", _HINT) from None
    except OSError as error:
        raise UpdateRefusedError(
            f"{error.filename or path}: {error.strerror or error}", _HINT
        ) from None


def _newest(names: list[str], pattern: re.Pattern[str]) -> str | None:
    """The highest version in those names that match the pattern."""
    versions = []
    for name in names:
        if match := pattern.fullmatch(name):
            with contextlib.suppress(ReleaseError):
                version_key(match["version"])
                versions.append(match["version"])
    return max(versions, key=version_key, default=None)

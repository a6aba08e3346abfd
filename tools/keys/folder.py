"""A key set on disk: made, read and rotated so that a cut leaves the old set or the new.

A set is a folder with mode 0700 and files with mode 0600:

    keys.json                                   what the set says about itself
    secure-boot.key, verity.key, pcr.key        RSA private keys
    secure-boot.crt, verity.crt, pcr.crt        their certificates
    release-ID-ed25519.key, release-ID-ml-dsa-65.key
                                                a pair that signs releases; two in a rotation

Private keys are PKCS #8 in PEM (RFC 5958). A new set gets its name when it is whole; afterwards
only keys.json is ever replaced, and files that it does not name count for nothing.
"""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.files import sync_directory, write_atomic
from tools.build.source import CHECKOUT
from tools.host.cache import lock
from tools.keys.certificates import SUBJECTS, make_certified
from tools.keys.errors import KeysError
from tools.keys.passphrase import new_stretching
from tools.keys.pem import dump_private, load_release_pair
from tools.keys.record import FORMAT, Kind, Record, dump_record, parse_record
from tools.keys.release import ReleasePair, make_release_pair
from tools.keys.token import TokenLock

RECORD = "keys.json"
_LOCK = "keys-folder"


@dataclass(frozen=True)
class KeyFolder:
    """A key set on disk whose private keys are not opened."""

    path: Path
    record: Record

    @property
    def private_files(self) -> tuple[str, ...]:
        """Names of all files that hold a private key."""
        pairs = (name for key in self.record.signing for name in release_files(key))
        return (*(f"{name}.key" for name in SUBJECTS), *pairs)

    @property
    def certificate_files(self) -> tuple[str, ...]:
        return tuple(f"{name}.crt" for name in SUBJECTS)

    def password(self, passphrase: bytes | None) -> bytes | None:
        """The password of the private files, None where they lie in clear."""
        if self.record.stretching is None:
            return None
        if passphrase is None:
            asks = self.record.stretching.asks
            raise KeysError(
                f"the keys in {self.path} need their {asks}, and none was given",
                "Name a file with --passphrase-file, or run this on a terminal.",
            )
        return self.record.stretching.password(passphrase)


def release_files(key: str) -> tuple[str, str]:
    """File names of the release pair with this id: Ed25519, ML-DSA-65."""
    return f"release-{key}-ed25519.key", f"release-{key}-ml-dsa-65.key"


def key_folder(chosen: Path | None) -> Path:
    """Where the keys are: `chosen`, else `$XDG_CONFIG_HOME/mailstead/keys` (~/.config without it).

    Raises KeysError for a place in the checkout, from which a commit could carry them away.
    """
    config = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    base = config if config.is_absolute() else Path.home() / ".config"
    folder = (chosen or base / "mailstead" / "keys").absolute()
    if folder.resolve().is_relative_to(CHECKOUT):
        raise KeysError(
            f"{folder} is in the checkout {CHECKOUT}, where keys could end up in a commit",
            "Choose a folder outside of it.",
        )
    return folder


def read_folder(path: Path) -> KeyFolder:
    """Read what a key set says about itself; nothing private is opened.

    Raises KeysError when there is none, a file is missing, or others may read a private key.
    """
    with file_errors(path):
        if not (path / RECORD).is_file():
            raise KeysError(f"there are no keys in {path}", "Make them: tools/forge keys init")
        found = KeyFolder(
            path, parse_record((path / RECORD).read_text("utf-8"), str(path / RECORD))
        )
        for name in (*found.private_files, *found.certificate_files):
            if not (path / name).is_file():
                raise KeysError(f"the keys in {path} are not complete: {name} is missing")
        _refuse_open_to_others(path, *(path / name for name in found.private_files))
    return found


def refuse_existing(path: Path) -> None:
    """KeysError when there is anything but an empty folder at `path`."""
    with file_errors(path):
        free = not path.exists() or (path.is_dir() and not any(path.iterdir()))
        if path.is_symlink() or not free:
            raise KeysError(
                f"{path} is there already, and keys are never overwritten",
                "`tools/forge keys show` tells what they are; --folder chooses another place.",
            )


def make_folder(
    path: Path,
    kind: Kind,
    passphrase: bytes | None,
    *,
    now: datetime.datetime,
    token: TokenLock | None = None,
) -> KeyFolder:
    """Make a key set; KeysError when there is something at `path` already. `now` is in UTC.

    With a `token`, `passphrase` is its PIN.
    """
    refuse_existing(path)
    stretching = token or (new_stretching() if passphrase is not None else None)
    pair = make_release_pair()
    record = Record(
        format=FORMAT,
        kind=kind,
        created=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        stretching=stretching,
        signing=(pair.public.id,),
        trusted=(pair.public,),
    )
    made = KeyFolder(path, record)
    password = made.password(passphrase)
    with lock(_LOCK, "changing keys"), file_errors(path), _becoming(path) as unfinished:
        for name, subject in SUBJECTS.items():
            full = f"{subject} (test)" if kind == "test" else subject
            certified = make_certified(full, now.replace(microsecond=0))
            _write(unfinished / f"{name}.key", dump_private(certified.key, password))
            _write(unfinished / f"{name}.crt", certified.certificate_pem)
        _write_pair(unfinished, pair, password)
        _write(unfinished / RECORD, dump_record(record).encode())
    return made


def begin_rotation(path: Path, passphrase: bytes | None, *, distrust: bool = False) -> KeyFolder:
    """Make a new release pair. Until the end of the rotation both pairs sign.

    Slots made from now on trust both, or with `distrust` the new one only. Raises KeysError while
    another rotation is under way.
    """
    with lock(_LOCK, "changing keys"), file_errors(path):
        found = read_folder(path)
        if found.record.rotating:
            raise KeysError(
                f"a rotation of the keys in {path} is under way already",
                "End it first: tools/forge keys rotate --finish",
            )
        password = found.password(passphrase)
        former = found.record.signing[0]
        # With a wrong passphrase the set would end up with two.
        load_release_pair(path, release_files(former), password)
        pair = make_release_pair()
        _write_pair(path, pair, password)
        return _replace_record(
            path,
            found.record,
            signing=(pair.public.id, former),
            trusted=(pair.public, *(() if distrust else found.record.trusted)),
        )


def finish_rotation(path: Path) -> KeyFolder:
    """Drop the former release pair: it signs nothing and is trusted no more; its files go."""
    with lock(_LOCK, "changing keys"), file_errors(path):
        record = read_folder(path).record
        if not record.rotating:
            raise KeysError(
                f"no rotation of the keys in {path} is under way",
                "Begin one: tools/forge keys rotate",
            )
        own = record.signing[0]
        trusted = tuple(key for key in record.trusted if key.id == own)
        return _replace_record(path, record, signing=(own,), trusted=trusted)


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """What the file system refuses, and text that is none, as errors of ours."""
    try:
        yield
    except OSError as error:
        raise KeysError(f"the keys in {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise KeysError(f"{path / RECORD} is not text in UTF-8") from None


def _replace_record(path: Path, record: Record, **changes: object) -> KeyFolder:
    """The one step that changes a set, then away with the files that nothing names any more."""
    changed = KeyFolder(path, record.model_copy(update=changes))
    _write(path / RECORD, dump_record(changed.record).encode())
    for file in path.glob("release-*.key"):
        if file.name not in changed.private_files:
            file.unlink()
    sync_directory(path)
    return changed


def _write_pair(path: Path, pair: ReleasePair, password: bytes | None) -> None:
    ed25519, ml_dsa_65 = release_files(pair.public.id)
    _write(path / ed25519, dump_private(pair.ed25519, password))
    _write(path / ml_dsa_65, dump_private(pair.ml_dsa_65, password))


def _write(path: Path, content: bytes) -> None:
    write_atomic(path, content, mode=0o600)


@contextmanager
def _becoming(path: Path) -> Iterator[Path]:
    """A new folder, mode 0700, that becomes `path` when the block ends well, else vanishes."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    try:
        unfinished.mkdir(mode=0o700)
        yield unfinished
        # Takes the place of an empty folder, and of nothing else (rename(2)).
        unfinished.rename(path)
        sync_directory(path.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _refuse_open_to_others(*paths: Path) -> None:
    for path in paths:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise KeysError(
                f"{path} is open to others (mode {mode:04o})",
                f"If nobody can have read it: chmod go= {path}",
            )

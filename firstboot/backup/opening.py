"""Opens a repository, wherever it is, with what lets us in: for backups and for restores.

What restic has to be told is written to files in memory, for root only, and named in its
environment or options; they are gone when the repository is closed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from firstboot.backup.credentials import FORMS, credentials_problem, known_hosts, private_key
from firstboot.base.backupplaces import (
    SftpPlace,
    disk_place,
    kind_of,
    repository_problem,
    sftp_place,
)
from firstboot.base.errors import MachineError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.system.restic import Restic
from firstboot.system.resticerrors import BackupError
from firstboot.system.volumes import Volume, list_volumes, mounted


@dataclass(frozen=True)
class Repository:
    """Where a repository is, what opens it, and what lets us in there.

    `address` is as in the settings (backup.targets), or a folder of this machine. `password` is the
    machine's own or the recovery code. `credentials` are in the form of
    `firstboot.backup.credentials`, "" where there are none.
    """

    address: str
    password: bytes = field(repr=False)
    credentials: str = field(default="", repr=False)


@contextmanager
def open_repository(
    paths: Paths, repository: Repository, *, writable: bool = False, upload_limit: int | None = None
) -> Iterator[Restic]:
    """restic, ready for the repository, for as long as the block runs.

    `writable`: for backups; a disk is mounted read-only otherwise. `upload_limit` is in KiB a
    second. Whether there is a repository is not asked. Raises BackupError, MachineError or
    CommandError when it cannot be made ready.
    """
    kind = _kind(repository)
    make_directory(paths.runtime)
    make_directory(paths.runtime / "backup", mode=0o700)
    # On the disk: memory may be too small. restic unlinks each file there before it writes to it.
    make_directory(paths.backup, mode=0o700)
    make_directory(paths.backup_temporary, mode=0o700)
    folder = Path(tempfile.mkdtemp(dir=paths.runtime / "backup"))
    try:
        with _located(paths, repository, writable=writable) as place:
            options, environment = _access(repository, folder)
            location = folder / "location"
            write_atomic(location, f"{place}\n", mode=0o600)
            far = kind not in {"disk", "folder"}
            yield Restic(
                location=location,
                password=repository.password,
                temporary=paths.backup_temporary,
                cache=paths.backup_cache if writable and far else None,
                options=options,
                environment=environment,
                upload_limit=upload_limit,
                # A disk that is mounted read-only takes no lock; nobody else prunes it meanwhile.
                lock=writable or kind != "disk",
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kind(repository: Repository) -> str:
    """The kind of place, when address and credentials are of its form; BackupError if not."""
    address = repository.address
    problem = None if address.startswith("/") else repository_problem(address)
    if problem:
        raise BackupError(f"{address!r} is no place of backups: {problem}", "docs/backup.md")
    kind = kind_of(address)
    if repository.credentials and credentials_problem(kind, repository.credentials):
        raise BackupError(
            f"what was given to get in at {address} does not let anybody in there",
            f"It has to be {FORMS[kind]}.",
        )
    return kind


@contextmanager
def _located(paths: Paths, repository: Repository, *, writable: bool) -> Iterator[str]:
    """Where the repository is, as restic takes it; a disk is mounted."""
    place = disk_place(repository.address)
    if place is not None:
        with _mounted_disk(paths, place.label, writable=writable) as root:
            yield str(root / place.path)
    elif kind_of(repository.address) == "rest" and repository.credentials:
        yield _with_user(repository.address, repository.credentials)
    else:
        yield repository.address


@contextmanager
def _mounted_disk(paths: Paths, label: str, *, writable: bool) -> Iterator[Path]:
    with mounted(find_disk(label), runtime=paths.runtime, writable=writable) as root:
        yield root


def find_disk(label: str) -> Volume:
    """The one file system with this label; BackupError when there is none, or more than one."""
    # Not the ESP, which everybody can read who has this machine's disk.
    volumes = [volume for volume in list_volumes() if not volume.esp]
    found = [volume for volume in volumes if volume.label == label]
    if not found:
        others = ", ".join(sorted({v.label for v in volumes if v.label})) or "none"
        raise BackupError(
            f"there is no disk labelled {label}", f"Plug it in. The labels that there are: {others}"
        )
    if len(found) > 1:
        raise BackupError(f"more than one disk is labelled {label}", "Unplug all but one.")
    return found[0]


def write_on_stick(paths: Paths, label: str, files: Mapping[str, bytes]) -> None:
    """Write files to the top of the file system with this label, which is whole on return.

    Raises BackupError when there is no such disk, MachineError when it does not take them.
    """
    with _mounted_disk(paths, label, writable=True) as root:
        for name, content in files.items():
            try:
                # FAT knows no modes, so that `write_atomic` has nothing to give there.
                with (root / name).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise MachineError(
                    f"{name} could not be written to {label}: {error.strerror}",
                    "Take a stick with room, and without write protection.",
                ) from None


def _access(repository: Repository, folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """restic's options and environment, which name files with what is secret."""
    kept, text = folder / "credentials", repository.credentials
    match kind_of(repository.address):
        case "s3" if text:
            write_atomic(kept, text, mode=0o600)
            return (), {"AWS_SHARED_CREDENTIALS_FILE": str(kept)}
        case "rclone" if text:
            write_atomic(kept, text, mode=0o600)
            return (), {"RCLONE_CONFIG": str(kept)}
        case "sftp":
            place = sftp_place(repository.address)
            assert place is not None, "the address is one"
            return (f"sftp.command={_ssh(place, text, folder)}",), {}
    return (), {}


def _with_user(address: str, credentials: str) -> str:
    """A REST server's address, with user and password in it."""
    scheme, slashes, rest = address.partition("://")
    user, _, password = credentials.strip().partition(":")
    return f"{scheme}{slashes}{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def _ssh(place: SftpPlace, credentials: str, folder: Path) -> str:
    """The command that restic speaks SFTP with: our key, that server, no questions."""
    key, known = private_key(credentials), known_hosts(credentials)
    if key is None:
        raise BackupError(
            f"there is no private key that lets us in at {place.host}", f"Give {FORMS['sftp']}."
        )
    write_atomic(folder / "key", key, mode=0o600)
    write_atomic(folder / "known_hosts", "\n".join([*known, ""]), mode=0o600)
    settings = {
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": folder / "known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        # A restore may begin with the kit alone. What comes from there is authenticated anyhow.
        "StrictHostKeyChecking": "yes" if known else "accept-new",
        "BatchMode": "yes",
        "ConnectTimeout": "30",
        "ServerAliveInterval": "30",
        "ServerAliveCountMax": "4",
    }
    words = [f"-o {name}={value}" for name, value in settings.items()]
    user = f"-l {place.user} " if place.user else ""
    server = f"-p {place.port} {user}{place.host}"
    return f"ssh -F none -i {folder / 'key'} {' '.join(words)} {server} -s sftp"

"""A repository that a person names, with what lets them in: what a restore begins with.

Nothing of it is in the settings yet, so all of it lies in memory, for root only, until it is used.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from firstboot.base.errors import MachineError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.system.restic import Restic
from firstboot.system.volumes import list_volumes, mounted

DISK = "disk:"
_FOLDER_ON_DISK = "mailstead-backup"


@dataclass(frozen=True)
class Source:
    """Where a repository is and what opens it.

    `repository` is as restic takes it (`s3:…`, `sftp:…`, `rest:…`, a folder), or `disk:LABEL`, or
    `disk:LABEL/FOLDER`. `password` is the recovery code or the machine's own password. `access`
    is what the place itself asks for: of S3 the key's id and its secret with a blank between,
    of SFTP a private key of OpenSSH; the others have it in the address, or need none.
    """

    repository: str
    password: bytes = field(repr=False)
    access: str = field(default="", repr=False)


def asks_for(repository: str) -> str:
    """What `access` of such a repository is, as a question that one line answers; "" for none."""
    return "Access key's id and secret, with a blank between" if repository[:3] == "s3:" else ""


@contextlib.contextmanager
def opened(source: Source, paths: Paths) -> Iterator[Restic]:
    """The repository, ready to be read; what it takes is gone from memory afterwards.

    Raises MachineError when there is no disk with the label, or `access` is not what it has to be.
    """
    make_directory(paths.runtime)
    folder = Path(tempfile.mkdtemp(prefix="backup-", dir=paths.runtime))
    try:
        with contextlib.ExitStack() as stack:
            repository = source.repository
            if repository.startswith(DISK):
                found = _on_disk(repository.removeprefix(DISK), paths, stack)
                repository = str(found)
            location = folder / "location"
            write_atomic(location, f"{repository}\n", mode=0o600)
            environment, options = _access(source, folder)
            yield Restic(
                location,
                source.password,
                temporary=_temporary(paths),
                options=options,
                environment=environment,
                # A disk is mounted read-only, and nobody else prunes it meanwhile.
                lock=not source.repository.startswith(DISK),
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _temporary(paths: Paths) -> Path:
    """For packs on their way, which are encrypted; memory may be too small for them."""
    make_directory(paths.restore, mode=0o700)
    return paths.restore


def _on_disk(place: str, paths: Paths, stack: contextlib.ExitStack) -> Path:
    label, _, inner = place.partition("/")
    for volume in list_volumes():
        if volume.label == label:
            return stack.enter_context(mounted(volume, runtime=paths.runtime)) / (
                inner or _FOLDER_ON_DISK
            )
    raise MachineError(
        f"there is no disk with the label {label}", "Plug it in, or look at its label with lsblk."
    )


def _access(source: Source, folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The environment and the options that name the files with what lets us in."""
    if not source.access.strip():
        return {}, ()
    if source.repository.startswith("s3:"):
        words = source.access.split()
        if len(words) != 2:
            raise MachineError(
                "the access to S3 is the key's id and its secret, with a blank between",
                "Whoever keeps the backups shows both when a key is made.",
            )
        text = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n".format(*words)
        write_atomic(folder / "s3", text, mode=0o600)
        return {"AWS_SHARED_CREDENTIALS_FILE": str(folder / "s3")}, ()
    if source.repository.startswith("sftp:"):
        key = folder / "key"
        write_atomic(key, source.access.strip() + "\n", mode=0o600)
        return {}, (f"sftp.command={_ssh(source.repository, key, folder)}",)
    raise MachineError(
        "this kind of repository has its access in the address",
        "Of a REST server user and password stand before its host: …//NAME:PASSWORD@HOST",
    )


def _ssh(repository: str, key: Path, folder: Path) -> str:
    """How sftp is reached with a key: restic splits the text as a shell does (its manual, SFTP)."""
    host, port = repository.removeprefix("sftp:"), ""
    if host.startswith("//"):
        host, _, port = host[2:].partition("/")[0].partition(":")
    else:
        host = host.partition(":")[0]
    options = (
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        # Nobody has told the machine which key the server has; the backup is authenticated anyhow.
        "StrictHostKeyChecking=accept-new",
        f"UserKnownHostsFile={folder / 'known_hosts'}",
    )
    words = ["ssh", *(word for option in options for word in ("-o", option)), "-i", str(key)]
    return shlex.join([*words, *(["-p", port] if port else []), host, "-s", "sftp"])

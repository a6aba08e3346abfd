"""Getting in at a target: credentials, server's identity, a disk that is mounted for the time.

Credentials are no settings: each target has a file of its own in the state, in the form that the
program behind it knows. What of it restic has to be told is written to files in memory, and named
in its environment or options.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from firstboot.backup.keys import repository_password
from firstboot.base.backuprules import DiskPlace, disk_place, kind_of, rate, sftp_place
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.base.settings import Backup, BackupTarget
from firstboot.system.restic import BackupError, Restic
from firstboot.system.volumes import list_volumes, mounted

MOST_BYTES = 64 * 1024
FORMS = {
    "s3": "a credentials file of AWS: [default], aws_access_key_id = …, aws_secret_access_key = …",
    "sftp": "a private key as ssh-keygen writes it (without a passphrase), then the server's lines "
    "of known_hosts, which ssh-keyscan prints",
    "rest": "one line, USER:PASSWORD",
    "rclone": "the section of the remote in rclone.conf, as `rclone config show REMOTE` prints it",
    "disk": "nothing: a disk needs none",
}
# A REST server may let everybody in; all others do not.
_NEEDED = {"s3", "sftp", "rclone"}
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
                          re.DOTALL)  # fmt: skip


def find_target(backup: Backup, name: str) -> BackupTarget:
    """The target of that name; BackupError when there is none."""
    for target in backup.targets:
        if target.name == name:
            return target
    names = ", ".join(target.name for target in backup.targets) or "none"
    raise BackupError(f"there is no target {name!r} (there is: {names})", ADD_HINT)


ADD_HINT = (
    "Add one: mailstead settings set backup.targets "
    "'[{name: home, repository: \"sftp:user@host:/folder\"}]'"
)


def credentials_problem(target: BackupTarget, text: str) -> str | None:
    """What is wrong with credentials for a target, without a word of them; None if nothing."""
    kind = kind_of(target.repository)
    right = {
        "s3": "aws_access_key_id" in text and "aws_secret_access_key" in text,
        "sftp": bool(_PRIVATE_KEY.search(text) and _known_hosts(text)),
        "rest": len(text.strip().splitlines()) == 1 and ":" in text,
        "rclone": bool(re.search(r"^\[.+\]\s*$", text, re.MULTILINE) and "=" in text),
        "disk": False,
    }[kind]
    return None if right else f"expected {FORMS[kind]}"


def write_credentials(paths: Paths, target: BackupTarget, text: str) -> None:
    """Keep credentials for a target; BackupError when they are not of its form."""
    problem = "expected less" if len(text) > MOST_BYTES else credentials_problem(target, text)
    if problem:
        raise BackupError(f"these are no credentials for {target.name}: {problem}")
    make_directory(paths.backup, mode=0o700)
    make_directory(paths.backup_credentials, mode=0o700)
    write_atomic(paths.backup_credentials / target.name, f"{text.strip()}\n", mode=0o600)


def has_credentials(paths: Paths, target: BackupTarget) -> bool:
    return (paths.backup_credentials / target.name).is_file()


def needs_credentials(target: BackupTarget) -> bool:
    return kind_of(target.repository) in _NEEDED


def require_credentials(paths: Paths, target: BackupTarget) -> None:
    """Raise BackupError when there are none and the target needs them."""
    if needs_credentials(target) and not has_credentials(paths, target):
        raise BackupError(
            f"there are no credentials for {target.name}",
            f"mailstead backup targets --credentials {target.name} < FILE; FILE holds "
            f"{FORMS[kind_of(target.repository)]}",
        )


@contextmanager
def opened(paths: Paths, backup: Backup, target: BackupTarget) -> Iterator[Restic]:
    """restic, ready for the target's repository, for as long as the block runs.

    Whether there is a repository is not asked. Raises BackupError, MachineError or CommandError
    when it cannot be made ready.
    """
    require_credentials(paths, target)
    folder = paths.runtime / "backup" / target.name
    shutil.rmtree(folder, ignore_errors=True)
    make_directory(folder, mode=0o700)
    temporary = paths.backup_temporary
    shutil.rmtree(temporary, ignore_errors=True)
    make_directory(temporary, mode=0o700)
    try:
        with _place(paths, target) as location:
            file, options, environment = _access(paths, target, location, folder)
            yield Restic(
                location=file,
                password=repository_password(paths),
                temporary=temporary,
                cache=None if kind_of(target.repository) == "disk" else paths.backup_cache,
                options=options,
                environment=environment,
                upload_limit=rate(backup.upload_limit),
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _place(paths: Paths, target: BackupTarget) -> Iterator[str]:
    """Where the repository is, as restic takes it; a disk is mounted."""
    place = disk_place(target.repository)
    if place is None:
        yield target.repository
        return
    with _mounted_disk(paths, place) as root:
        yield str(root / place.path)


@contextmanager
def _mounted_disk(paths: Paths, place: DiskPlace) -> Iterator[Path]:
    found = [volume for volume in list_volumes() if volume.label == place.label]
    if not found:
        raise BackupError(
            f"there is no disk labelled {place.label}", "Plug it in; `blkid` shows its label."
        )
    if len(found) > 1:
        raise BackupError(f"more than one disk is labelled {place.label}", "Unplug all but one.")
    with mounted(found[0], runtime=paths.runtime, writable=True) as root:
        yield root


def _access(
    paths: Paths, target: BackupTarget, location: str, folder: Path
) -> tuple[Path, tuple[str, ...], dict[str, str]]:
    """The file with the location, restic's options and environment; secrets in files only."""
    options: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    credentials = ""
    with contextlib.suppress(FileNotFoundError):
        credentials = (paths.backup_credentials / target.name).read_text(encoding="utf-8")
    kept = folder / "credentials"
    match kind_of(target.repository):
        case "s3":
            write_atomic(kept, credentials, mode=0o600)
            environment["AWS_SHARED_CREDENTIALS_FILE"] = str(kept)
        case "rclone":
            write_atomic(kept, credentials, mode=0o600)
            environment["RCLONE_CONFIG"] = str(kept)
        case "rest" if credentials:
            scheme, slashes, rest = location.partition("://")
            user, _, password = (
                quote(part, safe=":") for part in credentials.strip().partition(":")
            )
            location = f"{scheme}{slashes}{user}:{password.replace(':', '%3A')}@{rest}"
        case "sftp":
            options = (f"sftp.command={_ssh(target, credentials, folder)}",)
    file = folder / "location"
    write_atomic(file, f"{location}\n", mode=0o600)
    return file, options, environment


def _ssh(target: BackupTarget, credentials: str, folder: Path) -> str:
    """The command that restic speaks SFTP with: our key, that server, no questions."""
    place, key = sftp_place(target.repository), _PRIVATE_KEY.search(credentials)
    assert place is not None, "the settings hold no other places"
    if key is None:
        raise BackupError(f"the credentials for {target.name} hold no private key")
    write_atomic(folder / "key", f"{key[0]}\n", mode=0o600)
    write_atomic(folder / "known_hosts", "\n".join(_known_hosts(credentials)) + "\n", mode=0o600)
    settings = {
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": folder / "known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": "30",
        "ServerAliveInterval": "30",
        "ServerAliveCountMax": "4",
    }
    words = [f"-o {name}={value}" for name, value in settings.items()]
    user = f"-l {place.user} " if place.user else ""
    server = f"-p {place.port} {user}{place.host}"
    return f"ssh -F none -i {folder / 'key'} {' '.join(words)} {server} -s sftp"


def _known_hosts(credentials: str) -> list[str]:
    rest = _PRIVATE_KEY.sub("", credentials).splitlines()
    return [line for line in rest if line.strip() and not line.startswith("#")]

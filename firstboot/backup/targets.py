"""The targets of the settings, and the credentials that each of them has in the state.

Credentials are no settings: each target has a file of its own, for root only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager

from firstboot.backup.credentials import FORMS, NEEDED, credentials_problem, known_hosts
from firstboot.backup.keys import repository_password
from firstboot.backup.opening import Repository, open_repository
from firstboot.base.backupplaces import kind_of
from firstboot.base.backuprules import rate
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.base.sections import Backup, BackupTarget
from firstboot.system.restic import Restic
from firstboot.system.resticerrors import BackupError

ADD_HINT = (
    "Add one: mailstead settings set backup.targets "
    "'[{name: home, repository: \"sftp:user@host:/folder\"}]'"
)


def find_target(backup: Backup, name: str) -> BackupTarget:
    """The target of that name; BackupError when there is none."""
    for target in backup.targets:
        if target.name == name:
            return target
    names = ", ".join(target.name for target in backup.targets) or "none"
    raise BackupError(f"there is no target {name!r} (there is: {names})", ADD_HINT)


def write_credentials(paths: Paths, target: BackupTarget, text: str) -> None:
    """Keep credentials for a target; BackupError when they are not of its form."""
    kind = kind_of(target.repository)
    problem = credentials_problem(kind, text)
    if problem is None and kind == "sftp" and not known_hosts(text):
        # A restore can do without; a machine that nobody watches must know whom it speaks to.
        problem = f"expected {FORMS[kind]}"
    if problem:
        raise BackupError(f"these are no credentials for {target.name}: {problem}")
    make_directory(paths.backup, mode=0o700)
    make_directory(paths.backup_credentials, mode=0o700)
    write_atomic(paths.backup_credentials / target.name, f"{text.strip()}\n", mode=0o600)


def has_credentials(paths: Paths, target: BackupTarget) -> bool:
    return (paths.backup_credentials / target.name).is_file()


def needs_credentials(target: BackupTarget) -> bool:
    return kind_of(target.repository) in NEEDED


def require_credentials(paths: Paths, target: BackupTarget) -> None:
    """Raise BackupError when there are none and the target needs them."""
    if needs_credentials(target) and not has_credentials(paths, target):
        raise BackupError(
            f"there are no credentials for {target.name}",
            f"mailstead backup targets --credentials {target.name} < FILE; FILE holds "
            f"{FORMS[kind_of(target.repository)]}",
        )


def target_repository(paths: Paths, target: BackupTarget) -> Repository:
    """A target's repository as this machine opens it; BackupError as `require_credentials`."""
    require_credentials(paths, target)
    credentials = ""
    with contextlib.suppress(FileNotFoundError):
        credentials = (paths.backup_credentials / target.name).read_text(encoding="utf-8")
    return Repository(target.repository, repository_password(paths), credentials)


@contextmanager
def opened(paths: Paths, backup: Backup, target: BackupTarget) -> Iterator[Restic]:
    """A target's repository, ready for backups; see `open_repository` for the errors."""
    repository = target_repository(paths, target)
    limit = rate(backup.upload_limit)
    with open_repository(paths, repository, writable=True, upload_limit=limit) as restic:
        yield restic

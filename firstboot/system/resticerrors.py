"""What restic(1) says when it fails, as errors of ours that say what to do.

Exit codes that tell what failed came with version 0.17, so older ones are told apart by what they
say; that a place is full or refuses us, is told by its words with any version.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from firstboot.base.errors import MailsteadError
from firstboot.base.run import Completed

# restic's manual, "Exit codes".
_INCOMPLETE, _MISSING, _LOCKED, _WRONG_PASSWORD = 3, 10, 11, 12
_MISSING_SIGNS = (
    "is there a repository at the following location",
    "repository does not exist",
    # S3's words; `restic init` makes it.
    "the specified bucket does not exist",
)
_LOCKED_SIGNS = ("unable to create lock", "repository is already locked")
_PASSWORD_SIGNS = ("wrong password or no key found",)
_FULL_SIGNS = ("no space left on device", "disk quota exceeded", "quotaexceeded")
_REFUSED_SIGNS = (
    "permission denied",
    "access denied",
    "accessdenied",
    "403 forbidden",
    "401 unauthorized",
    "invalidaccesskeyid",
    "signaturedoesnotmatch",
    "no such bucket",
    # AWS's own words for a key that is unknown, and for a secret that is another one.
    "does not exist in our records",
    "the request signature we calculated does not match",
    "host key verification failed",
    # ssh's own words may come too late for restic to hand them on.
    "unable to start the sftp session",
)
_DAMAGE_SIGNS = (
    "invalid data returned",
    "ciphertext verification failed",
    "does not exist",
    "pack contains errors",
    "repository contains errors",
    "does not match id",
    "not found in repository",
    "hash mismatch",
)


class BackupError(MailsteadError):
    """A backup, or something about one, did not succeed; earlier backups are as they were."""

    exit_code = 17


class RepositoryMissingError(BackupError):
    """There is no repository at that place."""


class RepositoryLockedError(BackupError):
    """Another machine is using the repository for something that needs it alone, or needs it."""


class WrongPasswordError(BackupError):
    """There is a repository, and none of its keys is this password."""


class RepositoryDamagedError(BackupError):
    """What is in the repository is not what was written there."""


class RepositoryFullError(BackupError):
    """There is no room left where the repository is."""


class RepositoryRefusedError(BackupError):
    """Whoever keeps the repository does not let us in, or not to that place."""


class RepositoryGoneError(BackupError):
    """The repository was there, and has not answered for some minutes."""


def checked(done: Completed, verb: str) -> Completed:
    """What ended well; otherwise the error that says what failed."""
    if done.returncode == 0:
        return done
    said = _message(done)
    lowered, code = said.lower(), done.returncode

    def saw(signs: Sequence[str]) -> bool:
        return any(sign in lowered for sign in signs)

    what = f"restic {verb}: {said}" if said else f"restic {verb} failed with exit code {code}"
    if code == _WRONG_PASSWORD or saw(_PASSWORD_SIGNS):
        raise WrongPasswordError(
            "the repository is there, but this machine's password does not open it",
            "It may be another machine's repository: choose another place, or restore from it.",
        )
    if saw(_FULL_SIGNS):
        hint = "Make room there, or keep fewer backups (backup.keep in the settings)."
        raise RepositoryFullError(f"no room left for the backup: {what}", hint)
    if code == _LOCKED or saw(_LOCKED_SIGNS):
        hint = "Try again later; a lock that nobody refreshes any more goes after half an hour."
        raise RepositoryLockedError("somebody else is using the repository", hint)
    if saw(_REFUSED_SIGNS):
        hint = (
            "Look at the address and the credentials (mailstead backup targets), at what they may "
            "do there, and for SFTP at the server's host key, which must be the known one."
        )
        raise RepositoryRefusedError(f"the repository cannot be entered: {what}", hint)
    if code == _MISSING or saw(_MISSING_SIGNS):
        raise RepositoryMissingError("there is no repository at that place")
    if code == _INCOMPLETE and verb == "backup":
        raise BackupError(f"not all files could be read: {what}", "Try again.")
    if saw(_DAMAGE_SIGNS):
        hint = "mailstead backup verify --all tells how much of it is damaged."
        raise RepositoryDamagedError(f"the repository is damaged: {what}", hint)
    raise BackupError(what, "Look at the network, and at what keeps the backups.")


def _message(done: Completed) -> str:
    """The last of what it said, in one line."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return " ".join(_words(line.strip()) for line in lines if line.strip())[-600:]


def _words(line: str) -> str:
    """What a line says for people: with --json, errors are objects since 0.17."""
    try:
        said = json.loads(line)
        text = said["error"]["message"] if "error" in said else said["message"]
        return str(text).strip()
    except (ValueError, KeyError, TypeError):
        return line

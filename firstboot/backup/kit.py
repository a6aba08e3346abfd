"""The recovery kit: a page that says what its code opens, and how, also without Mailstead."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace

from firstboot.backup.keys import Recovery, keep_recovery, read_recovery
from firstboot.base.backupplaces import disk_place, kind_of
from firstboot.base.errors import MachineError
from firstboot.base.paths import Paths

# What restic reads from its environment (its manual, "Preparing a new repository").
_ASKED = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "rest": ("RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"),
}
_NEEDS = {
    "s3": "a key of the S3 account",
    "sftp": "a private key or password that the server takes",
    "rest": "user name and password of the REST server",
    "rclone": "rclone, with this remote in its configuration",
    "disk": "that disk, and nothing else",
}


@dataclass(frozen=True)
class Opening:
    """A place of backups; `problem` is why the code does not open it yet, "" where it does."""

    name: str
    repository: str
    problem: str = ""


def kit_text(hostname: str, recovery: Recovery, openings: Sequence[Opening]) -> str:
    """The page, of at most 80 columns."""
    shown = [line for opening in openings for line in _opening_lines(opening)]
    return "\n".join(
        [
            f"RECOVERY KIT {recovery.kit} of {hostname}, code of {recovery.created[:10]}",
            "",
            f"    {recovery.code}",
            "",
            "Keep this page away from the machine. Whoever has it and gets at the backups can",
            "restore them: settings, keys, addresses. Mail in them stays locked under each",
            "person's password, which this page does not replace.",
            "",
            "THE BACKUPS",
            *(shown or ["  none yet: mailstead settings set backup.targets …"]),
            "",
            "ON A NEW MACHINE, WITH MAILSTEAD",
            "  1. Write the image to its disk and start it.",
            "  2. On its console press Enter, then 2, Restore from a backup.",
            "  3. Type where the backups are, as above, and the code. When it says ready, mail,",
            "     passwords and settings are as they were. What cannot be typed, such as a private",
            "     key for SFTP, goes into a file on a stick: docs/backup.md, By a seed.",
            "  4. mailstead dns check (in the menu) shows which DNS records have to change.",
            "",
            f"ON ANY COMPUTER, WITHOUT MAILSTEAD (restic {least_restic(openings)} or newer)",
            *(["  Of several places, take the lines of one."] if len(openings) > 1 else []),
            *laptop_lines(openings),
            "  It asks for the password: that is the code, in small letters, with its hyphens.",
            "  Vaults (mail/mailstore/vaults) are SQLite3 Multiple Ciphers files; docs/vault.md",
            "  of Mailstead tells how a person's password opens them.",
            "",
        ]
    )


def laptop_lines(openings: Sequence[Opening]) -> list[str]:
    """Commands for a shell; what stands in capitals has to be put in by the reader."""
    lines = []
    for opening in openings:
        for name in _ASKED.get(kind_of(opening.repository), ()):
            lines.append(f"  export {name}='...'")
        lines.append(f"  export RESTIC_REPOSITORY='{_on_laptop(opening.repository)}'")
    return [*lines, "  restic snapshots", "  restic restore latest --target mailserver"]


def least_restic(openings: Sequence[Opening]) -> str:
    """The version of restic that reads our repositories, and what `laptop_lines` export.

    By restic's list of changes: compression came with 0.14.0, a REST server's user with 0.16.1.
    """
    return "0.16.1" if any(kind_of(o.repository) == "rest" for o in openings) else "0.14"


def needs(opening: Opening) -> str:
    """What it takes to get in at a place, besides the code."""
    return _NEEDS[kind_of(opening.repository)]


def confirm(paths: Paths, answer: str) -> bool:
    """Whether `answer` is the group that is asked for; then the kit counts as kept.

    MachineError when there is no kit yet.
    """
    recovery = read_recovery(paths)
    if recovery is None:
        raise MachineError("there is no recovery kit yet", "Make one: mailstead backup kit")
    wanted = recovery.groups[recovery.group - 1]
    if not hmac.compare_digest(answer.strip().lower().encode(), wanted.encode()):
        return False
    keep_recovery(paths, replace(recovery, confirmed=True))
    return True


def _opening_lines(opening: Opening) -> list[str]:
    lines = [f"  {opening.name}: {opening.repository}", f"     needs {needs(opening)}"]
    return (
        [*lines, f"     NOT OPENED BY THIS CODE YET: {opening.problem}"]
        if opening.problem
        else lines
    )


def _on_laptop(repository: str) -> str:
    place = disk_place(repository) if repository.startswith("disk:") else None
    return f"/WHERE/{place.label}/IS/MOUNTED/{place.path}" if place else repository

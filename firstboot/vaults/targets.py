"""What an export writes: EML files, a Maildir, or mbox files. Each write is on disk on return."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from firstboot.base.files import sync_directory
from firstboot.vaults.journal import Mark
from firstboot.vaults.mailbox import Mail
from firstboot.vaults.names import maildir_of, path_of

# The letters of D. J. Bernstein's maildir specification.
MAILDIR_FLAGS: Mapping[str, str] = {
    "\\Draft": "D",
    "\\Flagged": "F",
    "\\Answered": "R",
    "\\Seen": "S",
    "\\Deleted": "T",
}
_FROM = re.compile(rb"^(>*From )", re.MULTILINE)

Write = Callable[[Path, str, Mark, Sequence[Mail]], int]
"""Takes the root, a folder, how far it is, and messages; returns the size for the next mark."""


def write_eml(root: Path, folder: str, mark: Mark, mails: Sequence[Mail]) -> int:
    """A file for each message, byte for byte; its time is when the message came in."""
    place = path_of(root, folder)
    place.mkdir(parents=True, exist_ok=True)
    for mail in mails:
        _write_file(place / f"{mark.uidvalidity}.{mail.uid}.eml", place, mail)
    sync_directory(place)
    return 0


def write_maildir(root: Path, folder: str, mark: Mark, mails: Sequence[Mail]) -> int:
    """A Maildir++, with flags; messages byte for byte."""
    place = maildir_of(root, folder)
    for name in ("cur", "new", "tmp"):
        (place / name).mkdir(parents=True, exist_ok=True)
    for mail in mails:
        flags = "".join(sorted(MAILDIR_FLAGS[flag] for flag in mail.flags & MAILDIR_FLAGS.keys()))
        name = f"{int(_date(mail).timestamp())}.{mark.uidvalidity}_{mail.uid}.mailstead:2,{flags}"
        _write_file(place / "cur" / name, place / "tmp", mail)
    sync_directory(place / "cur")
    return 0


def write_mbox(root: Path, folder: str, mark: Mark, mails: Sequence[Mail]) -> int:
    """A file for each folder, in the form mboxrd: line ends are LF, `From ` is quoted."""
    path = path_of(root, folder)
    path = path.with_name(path.name + ".mbox")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "w+b") as file:
        # What a stopped export wrote beyond its mark.
        file.truncate(mark.size)
        file.seek(mark.size)
        for mail in mails:
            stamp = _date(mail).astimezone(datetime.UTC).strftime("%a %b %d %H:%M:%S %Y")
            text = _FROM.sub(rb">\1", mail.raw.replace(b"\r\n", b"\n"))
            end = b"\n" if text.endswith(b"\n") else b"\n\n"
            file.write(f"From MAILER-DAEMON {stamp}\n".encode() + text + end)
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    sync_directory(path.parent)
    return size


TARGETS: Mapping[str, Write] = {"eml": write_eml, "maildir": write_maildir, "mbox": write_mbox}


def _date(mail: Mail) -> datetime.datetime:
    return mail.date or datetime.datetime.now(datetime.UTC)


def _write_file(path: Path, temporary: Path, mail: Mail) -> None:
    """Write under a hidden name first, so that a file is whole or not there."""
    draft = temporary / f".{path.name}.new"
    with draft.open("wb") as file:
        file.write(mail.raw)
        file.flush()
        os.fsync(file.fileno())
    stamp = _date(mail).timestamp()
    os.utime(draft, (stamp, stamp))
    draft.replace(path)

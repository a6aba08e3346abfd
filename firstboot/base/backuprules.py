"""What the places, times and limits of backups must be in the settings; no I/O, no model.

Each `…_problem` returns `expected …` or None, as in `firstboot.base.rules`.
"""

from __future__ import annotations

import datetime
import re
import urllib.parse
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from firstboot.base.located import Located, Place
from firstboot.base.rules import window_problem

Kind: TypeAlias = Literal["s3", "sftp", "rest", "rclone", "disk"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# A day's backups at a time that nobody minds, and before the window of upgrades.
DEFAULT_SCHEDULE = "00:00-02:00"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_RATE = re.compile(r"([1-9]\d{0,5})([KM])", re.ASCII)
_AGE = re.compile(r"([1-9]\d{0,3})([hd])", re.ASCII)
# A host, or an address in brackets.
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_USER = r"[A-Za-z0-9._-]+"
_PATH = r"[A-Za-z0-9._/@=+,~-]+"
_SFTP = re.compile(
    rf"sftp:(?://(?P<user>{_USER}@)?(?P<host>{_HOST})(?::(?P<port>\d{{1,5}}))?/(?P<path>{_PATH})"
    rf"|(?P<user2>{_USER}@)?(?P<host2>{_HOST}):(?P<path2>{_PATH}))",
    re.ASCII,
)
# ext4 has labels of up to 16 bytes, others of fewer; udev shows what is odd in them escaped.
_DISK = re.compile(rf"disk:(?P<label>[A-Za-z0-9][A-Za-z0-9._-]{{0,15}})(?:/(?P<path>{_PATH}))?")
_RCLONE = re.compile(r"rclone:[A-Za-z0-9_][A-Za-z0-9_ .+@-]*:[\w./@=+,~-]*", re.ASCII)
_EXAMPLES = (
    "expected a place such as s3:https://s3.example.com/bucket/mail, sftp:user@host:/folder, "
    "rest:https://backup.example.com/, rclone:remote:folder or disk:LABEL"
)


@dataclass(frozen=True)
class SftpPlace:
    """Where on which server; `user` is "" for ssh's own choice."""

    user: str
    host: str
    port: int
    path: str


@dataclass(frozen=True)
class DiskPlace:
    """A file system's label, and a folder on it."""

    label: str
    path: str


def kind_of(repository: str) -> Kind:
    """What kind of place a repository is at; ValueError for what the settings do not hold."""
    kind = repository.partition(":")[0]
    for known in KINDS:
        if kind == known:
            return known
    raise ValueError(f"{repository!r} is no place of a repository")


def repository_problem(text: str) -> str | None:
    """For the place of a repository, as restic takes it, or a disk by its label."""
    kind, _, rest = text.partition(":")
    if kind not in KINDS or not text.isascii() or len(text) > 500 or not text.isprintable():
        return _EXAMPLES
    match kind:
        case "sftp":
            return None if sftp_place(text) else "expected sftp:user@host:/folder"
        case "disk":
            return None if disk_place(text) else "expected disk:LABEL or disk:LABEL/folder"
        case "rclone":
            return None if _RCLONE.fullmatch(text) else "expected rclone:remote:folder"
    return _web_problem(kind, rest)


def _web_problem(kind: str, address: str) -> str | None:
    example = f"{kind}:https://backup.example.com/{'bucket' if kind == 's3' else ''}"
    try:
        parts = urllib.parse.urlsplit(address)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return f"expected an address such as {example}"
    if parts.scheme not in {"http", "https"} or not host or " " in address:
        return f"expected an address such as {example}"
    if "@" in parts.netloc:
        return "expected an address without user name and password, which are credentials"
    if parts.query or parts.fragment:
        return "expected an address without ? and #"
    if kind == "s3" and not parts.path.strip("/"):
        return f"expected a bucket behind the address, such as {example}"
    return None


def sftp_place(repository: str) -> SftpPlace | None:
    """sftp:user@host:folder or sftp://user@host:port/folder (two slashes: from the root)."""
    match = _SFTP.fullmatch(repository)
    if match is None:
        return None
    user, host = match["user"] or match["user2"] or "", match["host"] or match["host2"]
    port = int(match["port"] or 22)
    if not 0 < port < 65536:
        return None
    return SftpPlace(user.rstrip("@"), host.strip("[]"), port, match["path"] or match["path2"])


def disk_place(repository: str) -> DiskPlace | None:
    """disk:LABEL/folder; without a folder it is `mailstead-backup`."""
    match = _DISK.fullmatch(repository)
    if match is None:
        return None
    path = (match["path"] or "mailstead-backup").strip("/")
    if not path or ".." in path.split("/"):
        return None
    return DiskPlace(match["label"], path)


def target_problem(name: str) -> str | None:
    """For the name of a target, which is that of files, too."""
    if _NAME.fullmatch(name):
        return None
    return "expected a name of at most 32 small letters, digits and hyphens"


def schedule_problem(text: str) -> str | None:
    """For when backups are made."""
    if text in {"off", "hourly"} or window_problem(text) is None:
        return None
    return "expected a daily time in UTC such as 00:00-02:00, hourly, or off"


def rate_problem(text: str) -> str | None:
    """For the most that is sent in a second."""
    if text == "none" or _RATE.fullmatch(text):
        return None
    return "expected a rate such as 500K or 5M (bytes a second), or none"


def age_problem(text: str) -> str | None:
    """For how old the last good backup may be."""
    return None if _AGE.fullmatch(text) else "expected an age such as 36h or 3d"


def rate(text: str) -> int | None:
    """KiB a second, None for no limit."""
    match = _RATE.fullmatch(text)
    return int(match[1]) * {"K": 1, "M": 1024}[match[2]] if match else None


def age(text: str) -> datetime.timedelta:
    """What `age_problem` finds nothing wrong with, as a length of time."""
    match = _AGE.fullmatch(text)
    assert match is not None, "the settings hold no other ages"
    number = int(match[1])
    return datetime.timedelta(hours=number) if match[2] == "h" else datetime.timedelta(days=number)


def check_backup(document: Located) -> None:
    """Note names and places of targets that come twice, and a schedule that keeps nothing."""
    root = document.value if isinstance(document.value, dict) else {}
    backup = root.get("backup")
    targets = backup.get("targets") if isinstance(backup, dict) else None
    for key in ("name", "repository"):
        seen: dict[str, int] = {}
        for index, target in enumerate(targets if isinstance(targets, tuple) else ()):
            value = target.get(key) if isinstance(target, dict) else None
            place: Place = ("backup", "targets", index, key)
            if not isinstance(value, str) or document.wrong(place):
                continue
            if value in seen:
                first = document.line(("backup", "targets", seen[value], key))
                document.add(place, f"expected each {key} once, got it again (line {first})")
            seen.setdefault(value, index)
    keep = backup.get("keep") if isinstance(backup, dict) else None
    names = ("hourly", "daily", "weekly", "monthly")
    if isinstance(keep, dict) and all(keep.get(name) == 0 for name in names):
        document.add(("backup", "keep"), "expected at least one backup that is kept")

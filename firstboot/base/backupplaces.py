"""Where a repository of backups can be: kinds of places and how each is written; no I/O.

`repository_problem` returns `expected …` or None, as in `firstboot.base.rules`.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["s3", "sftp", "rest", "rclone", "disk", "folder"]
# Those that the settings may name. A folder of the machine itself is good for restores only.
KINDS: tuple[Kind, ...] = ("s3", "sftp", "rest", "rclone", "disk")

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
    """What kind of place a repository is at; ValueError for what is none."""
    if repository.startswith("/"):
        return "folder"
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

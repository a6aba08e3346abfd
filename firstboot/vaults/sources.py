"""What an import reads: EML files, a Maildir, or mbox files, in an order that stays the same."""

from __future__ import annotations

import contextlib
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firstboot.vaults.errors import VaultError
from firstboot.vaults.mailbox import Mail
from firstboot.vaults.names import folder_of, folder_of_maildir
from firstboot.vaults.targets import MAILDIR_FLAGS

_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_FLAG_NAMES = {letter: flag for flag, letter in MAILDIR_FLAGS.items()}
_FROM_DATE = "%a %b %d %H:%M:%S %Y"


@dataclass(frozen=True)
class Item:
    """A message of a source: what it is called there, the folder it belongs to, and itself."""

    key: str
    folder: str
    mail: Mail


def read_source(path: Path) -> Iterator[Item]:
    """All messages at `path`; a single file's belong to INBOX. Raises VaultError, OSError.

    A directory with `cur` and `new` is a Maildir; any other is searched for *.eml and *.mbox.
    """
    if path.is_file():
        yield from _read_mbox(path, path.name, "INBOX") if _is_mbox(path) else _read_eml(path, path)
    elif (path / "cur").is_dir() and (path / "new").is_dir():
        yield from _read_maildirs(path)
    elif path.is_dir():
        yield from _read_tree(path)
    else:
        raise VaultError(f"there is no {path}", "Name a file, a Maildir, or a directory.")


def _is_mbox(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(5) == b"From "


def _read_tree(root: Path) -> Iterator[Item]:
    for path in sorted(root.rglob("*")):
        if path.suffix == ".eml" and path.is_file():
            yield from _read_eml(root, path)
        elif path.suffix == ".mbox" and path.is_file():
            name = path.relative_to(root)
            yield from _read_mbox(path, str(name), folder_of(name.with_suffix("")))


def _read_eml(root: Path, path: Path) -> Iterator[Item]:
    name = path.relative_to(root) if path != root else Path(path.name)
    folder = folder_of(name.parent) or "INBOX"
    yield Item(str(name), folder, _mail(path.read_bytes(), _modified(path)))


def _read_maildirs(root: Path) -> Iterator[Item]:
    places = [(root, "INBOX")]
    for place in sorted(root.glob(".?*")):
        if (place / "cur").is_dir():
            places.append((place, folder_of_maildir(place.name)))
    for place, folder in places:
        for path in sorted([*(place / "new").glob("[!.]*"), *(place / "cur").glob("[!.]*")]):
            letters = path.name.rpartition(":2,")[2] if ":2," in path.name else ""
            flags = frozenset(_FLAG_NAMES[letter] for letter in letters if letter in _FLAG_NAMES)
            mail = _mail(path.read_bytes(), _modified(path), flags)
            yield Item(str(path.relative_to(root)), folder, mail)


def _read_mbox(path: Path, name: str, folder: str) -> Iterator[Item]:
    """Messages begin with a line `From ` after an empty one, or at the start."""
    lines: list[bytes] = []
    number, start, blank = 0, b"", True
    with path.open("rb") as file:
        begin = file.read(5)
        if not begin:
            return  # a folder without messages
        if begin != b"From ":
            raise VaultError(f"{path} is no mbox file: it does not begin with `From `")
        file.seek(0)
        for line in file:
            if blank and line.startswith(b"From "):
                if start:
                    yield _mbox_item(name, number, folder, start, lines)
                    number += 1
                start, lines = line, []
            else:
                lines.append(line)
            blank = not line.strip(b"\r\n")
    yield _mbox_item(name, number, folder, start, lines)


def _mbox_item(name: str, number: int, folder: str, start: bytes, lines: list[bytes]) -> Item:
    if lines and not lines[-1].strip(b"\r\n"):
        lines = lines[:-1]  # the empty line that ends a message
    raw = _QUOTED_FROM.sub(rb"\1", b"".join(lines))
    date = None
    with contextlib.suppress(ValueError):
        text = " ".join(start.decode("ascii", "replace").split()[-5:])
        date = datetime.datetime.strptime(text, _FROM_DATE).replace(tzinfo=datetime.UTC)
    return Item(f"{name}#{number}", folder, _mail(raw, date))


def _mail(raw: bytes, date: datetime.datetime | None, flags: frozenset[str] = frozenset()) -> Mail:
    # Files of other programs have line ends of their system; ours are as they were received.
    if b"\r\n" not in raw:
        raw = raw.replace(b"\n", b"\r\n")
    return Mail(raw, flags, date)


def _modified(path: Path) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(path.stat().st_mtime), datetime.UTC)

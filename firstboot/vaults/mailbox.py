"""A mailbox over IMAP: folders, messages byte for byte, and what `vault` asks besides."""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import imaplib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from firstboot.base.roundtrip import Account, open_imap
from firstboot.vaults.errors import TooLargeError, VaultError

DELIMITER = "/"

_LIST = re.compile(rb'\(([^)]*)\) (?:"[^"]*"|NIL) (.+)', re.DOTALL)
_UID = re.compile(rb"UID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_CODED = re.compile(r"&([A-Za-z0-9+,]*)-")
_TO_CODE = re.compile(r"[^\x20-\x7e]+|&")


@dataclass(frozen=True)
class Mail:
    """A message: its bytes as received, its flags, and when it came in."""

    raw: bytes = field(repr=False)
    flags: frozenset[str] = frozenset()
    date: datetime.datetime | None = None
    uid: int = 0


@dataclass(frozen=True)
class Progress:
    """How far a check is: bytes, and what to say to go on (empty at the end)."""

    done: int
    total: int
    problems: Sequence[str]
    following: str


class RemoteMailbox:
    """Somebody's mailbox; every method raises VaultError when the mail store refuses."""

    def __init__(self, imap: imaplib.IMAP4) -> None:
        self._imap = imap

    def folders(self) -> Sequence[str]:
        """The names of all folders that hold messages, in order."""
        names = []
        for line in self._ok(*self._imap.list(), "LIST"):
            data = b"".join(line) if isinstance(line, tuple) else line
            match = _LIST.fullmatch(re.sub(rb"\{\d+\}", b"", data or b""))
            if match is not None and b"\\noselect" not in match[1].lower():
                names.append(decode_name(_unquoted(match[2])))
        return sorted(names)

    def select(self, folder: str) -> tuple[int, Sequence[int]]:
        """Open a folder for reading; its UIDVALIDITY, and its UIDs in order."""
        self._ok(*self._imap.select(_quoted(folder), readonly=True), f"EXAMINE {folder}")
        (value,) = self._imap.response("UIDVALIDITY")[1]
        (line,) = self._ok(*self._imap.uid("SEARCH", "ALL"), "SEARCH")
        return int(value or 0), [int(uid) for uid in (line or b"").split()]

    def fetch(self, uids: Sequence[int]) -> Iterator[Mail]:
        """The messages of the open folder with these UIDs, in order; those that are gone lack.

        One at a time, since each may be large.
        """
        for uid in uids:
            answer = self._imap.uid("FETCH", str(uid), "(UID FLAGS INTERNALDATE BODY.PEEK[])")
            for part in self._ok(*answer, "FETCH"):
                if isinstance(part, tuple):
                    yield _mail(part[0], part[1])

    def same_size(self, size: int) -> Sequence[int]:
        """UIDs of the messages of the open folder that have exactly so many bytes."""
        criteria = ("LARGER", str(size - 1), "SMALLER", str(size + 1))
        (line,) = self._ok(*self._imap.uid("SEARCH", *criteria), "SEARCH")
        return [int(uid) for uid in (line or b"").split()]

    def create(self, folder: str) -> None:
        """Make a folder unless it is there."""
        if folder not in self.folders():
            self._ok(*self._imap.create(_quoted(folder)), f"CREATE {folder}")

    def append(self, folder: str, mail: Mail) -> None:
        """Put a message into a folder, byte for byte."""
        date = mail.date or datetime.datetime.now(datetime.UTC)
        # `imaplib.append` would change line ends.
        setattr(self._imap, "literal", mail.raw)  # noqa: B010 - its type says text, its code bytes
        words = (
            _quoted(folder),
            f"({' '.join(sorted(mail.flags))})",
            imaplib.Time2Internaldate(date),
        )
        status, data = self._imap.xatom("APPEND", *words)
        if status == "NO" and b"[TOOBIG]" in b" ".join(filter(None, data)):
            raise TooLargeError(f"its {len(mail.raw)} bytes are more than the mail store takes")
        self._ok(status, data, f"APPEND to {folder}")

    def check(self, point: str) -> Progress:
        """Have a part of the vault looked at; begin with an empty text, go on with `following`."""
        # Otherwise the library allows it only in the state in which it was first used.
        imaplib.Commands.setdefault("XCHECK", ("AUTH", "SELECTED"))
        self._ok(*self._imap.xatom("XCHECK", *point.split()), "XCHECK")
        problems = [_unquoted(line or b"") for line in self._imap.response("XPROBLEM")[1]]
        (line,) = self._imap.response("XCHECK")[1]
        words = (line or b"").decode("ascii").split()
        done, total = int(words[2]), int(words[3])
        return Progress(
            done, total, [p for p in problems if p], "" if words[0] == "END" else " ".join(words)
        )

    def _ok(self, status: str, data: Sequence[Any], command: str) -> Sequence[Any]:
        if status != "OK":
            reason = b" ".join(item for item in data if isinstance(item, bytes))
            raise VaultError(
                f"the mail store refused {command}: {reason.decode(errors='replace')}",
                "The same command goes on where it was stopped.",
            )
        return data


@contextlib.contextmanager
def opened_mailbox(account: Account) -> Iterator[RemoteMailbox]:
    """The mailbox of an account; VaultError when the login fails or the connection is lost."""
    try:
        with open_imap(account) as imap:
            yield RemoteMailbox(imap)
    except imaplib.IMAP4.error as error:
        reason = str(error).removeprefix("b'").removesuffix("'")
        raise VaultError(f"IMAP as {account.address}: {reason}", "Is the password right?") from None
    except OSError as error:
        raise VaultError(
            f"IMAP on port {account.imaps}: {error}", "`mailstead status` shows the containers."
        ) from None


def encode_name(name: str) -> str:
    """A folder's name in modified UTF-7 (RFC 3501, 5.1.3)."""

    def shift(match: re.Match[str]) -> str:
        if match[0] == "&":
            return "&-"
        coded = base64.b64encode(match[0].encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
        return f"&{coded.decode()}-"

    return _TO_CODE.sub(shift, name)


def decode_name(name: str) -> str:
    """The folder's name behind modified UTF-7; as it is where that is broken."""

    def unshift(match: re.Match[str]) -> str:
        if not match[1]:
            return "&"
        coded = match[1].replace(",", "/") + "=" * (-len(match[1]) % 4)
        try:
            return base64.b64decode(coded).decode("utf-16-be")
        except (binascii.Error, UnicodeDecodeError):
            return match[0]

    return _CODED.sub(unshift, name)


def _quoted(folder: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", encode_name(folder)) + '"'


def _unquoted(text: bytes) -> str:
    if text.startswith(b'"'):
        text = re.sub(rb"\\(.)", rb"\1", text[1:-1])
    return text.decode("utf-8", "replace")


def _mail(line: bytes, raw: bytes) -> Mail:
    uid, flags = _UID.search(line), _FLAGS.search(line)
    date = imaplib.Internaldate2tuple(line)
    if uid is None or flags is None or date is None:
        raise VaultError(f"the mail store answered FETCH with {line[:100]!r}")
    names = frozenset(flags[1].decode("ascii", "replace").split()) - {"\\Recent"}
    stamp = datetime.datetime(*date[:6]).astimezone()
    return Mail(raw, names, stamp, int(uid[1]))

"""Reading a command: the terminals of RFC 3501 9 over the bytes of one whole command.

The framing has put literals in place: `{5}` CRLF and the five bytes stand in the buffer.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache

from postmaster.imap import mutf7
from postmaster.imap.outcome import RefusedError, SyntaxFaultError
from postmaster.imap.sequence import SAVED_RESULT, SequenceSet, parse_sequence_set

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST_CHARS = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
_QUOTED = re.compile(rb'"((?:[^\x00\r\n"\\]|\\["\\])*)"')
_LITERAL = re.compile(rb"(~?)\{(\d{1,10})\+?\}\r?\n")
_NUMBER = re.compile(rb"\d{1,10}(?![0-9])")
_NUMBER64 = re.compile(rb"\d{1,19}(?![0-9])")
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_SEQUENCE = re.compile(rb"[0-9*:,]+")
_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}(?![A-Za-z0-9_-])")
_SECTION_PART = re.compile(rb"[1-9][0-9]{0,4}(?:\.[1-9][0-9]{0,4})*")
_DATE_TIME = re.compile(r"([ 0-9]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_DATE = re.compile(rb'("?)(\d{1,2})-([A-Za-z]{3})-(\d{4})\1')
_ESCAPED = re.compile(rb"\\(.)")

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SYSTEM_FLAGS = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
MAX_FLAG_LENGTH = 200
MAX_FLAGS = 100
MAX_FOLDER_NAME = 1000
ZONES = 64  # time zones that are written once; messages have few

_SYSTEM_BY_LOWER = {flag.lower(): flag for flag in SYSTEM_FLAGS}


class Parser:
    """A position in a command; each method takes one element or raises SyntaxFaultError.

    A folder's name that no folder can have is a RefusedError: the command is right.
    """

    def __init__(self, data: bytes, *, utf8: bool = False) -> None:
        """`utf8`: folders are named in UTF-8, no longer in modified UTF-7 (`Session.utf8`)."""
        self.utf8 = utf8
        self._data = data
        self._at = 0

    # Small steps

    def peek(self, text: bytes) -> bool:
        """Say whether `text` comes next, without case."""
        return self._data[self._at : self._at + len(text)].upper() == text.upper()

    def accept(self, text: bytes) -> bool:
        """Take `text` when it comes next."""
        if self.peek(text):
            self._at += len(text)
            return True
        return False

    def accept_word(self, text: bytes) -> bool:
        """Take `text` when it comes next and a space or the end follows."""
        end = self._at + len(text)
        return self._data[end : end + 1] in {b"", b" "} and self.accept(text)

    def expect(self, text: bytes) -> None:
        """Take `text`."""
        if not self.accept(text):
            raise SyntaxFaultError(f"expected {text.decode()!r}")

    def space(self) -> None:
        """Take one space."""
        self.expect(b" ")

    def end(self) -> None:
        """Check that nothing is left."""
        if self._at != len(self._data):
            raise SyntaxFaultError("too many arguments")

    @property
    def at_end(self) -> bool:
        """Say whether nothing is left."""
        return self._at == len(self._data)

    def _match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        match = pattern.match(self._data, self._at)
        if match is None:
            raise SyntaxFaultError(f"expected {what}")
        self._at = match.end()
        return match

    # Words and strings

    def tag(self) -> str:
        """Take a command's tag."""
        return self._match(_TAG, "a tag").group().decode()

    def atom(self) -> str:
        """Take an atom."""
        return self._match(_ATOM, "an atom").group().decode()

    def keyword(self) -> str:
        """Take an atom and return it in upper case."""
        return self.atom().upper()

    def object_id(self) -> str:
        """Take an object identifier (RFC 8474 7)."""
        return self._match(_OBJECT_ID, "an object identifier").group().decode()

    def number(self) -> int:
        """Take a number below 2**32."""
        number = int(self._match(_NUMBER, "a number").group())
        if number >= 2**32:
            raise SyntaxFaultError("the number is too large")
        return number

    def number64(self) -> int:
        """Take a number below 2**63, such as a modseq (RFC 7162 7) or a size (RFC 9051 9)."""
        number = int(self._match(_NUMBER64, "a number").group())
        if number >= 2**63:
            raise SyntaxFaultError("the number is too large")
        return number

    def string(self) -> bytes:
        """Take a quoted string or a literal."""
        if self.peek(b'"'):
            return _ESCAPED.sub(rb"\1", self._match(_QUOTED, "a quoted string").group(1))
        return self.literal(binary=False)

    def literal(self, *, binary: bool) -> bytes:
        """Take a literal, or when `binary` one that may hold NUL, `~{5}` (RFC 3516 literal8)."""
        tilde, digits = self._match(_LITERAL, "a literal").groups()
        if bool(tilde) is not binary:
            raise SyntaxFaultError("this literal is not possible here")
        start, self._at = self._at, self._at + int(digits)
        if self._at > len(self._data):
            raise SyntaxFaultError("the literal is cut short")
        return self._data[start : self._at]

    def astring(self) -> bytes:
        """Take an atom or a string."""
        if self._string_follows():
            return self.string()
        return self._match(_ASTRING, "an atom or a string").group()

    def text(self) -> str:
        """Take an astring of UTF-8."""
        return _utf8(self.astring())

    def nstring(self) -> bytes | None:
        """Take a string, or NIL as None."""
        if self._string_follows():
            return self.string()
        if self.keyword() != "NIL":
            raise SyntaxFaultError("expected a string or NIL")
        return None

    def _string_follows(self) -> bool:
        return self.peek(b'"') or self.peek(b"{")

    # Elements of IMAP

    def mailbox(self) -> str:
        """Take the name of a folder."""
        return self._folder(self.astring())

    def list_mailbox(self) -> str:
        """Take a pattern of LIST, decoded like a name; what cannot be decoded matches nothing."""
        if self._string_follows():
            value = self.string()
        else:
            value = self._match(_LIST_CHARS, "a pattern").group()
        try:
            return self._folder(value)
        except RefusedError:
            return value.decode("latin-1")

    def _folder(self, value: bytes) -> str:
        """Decode a name. Raises RefusedError for one that no folder can have."""
        try:
            name = value.decode() if self.utf8 else mutf7.decode(value.decode("ascii"))
        except ValueError as error:
            coding = "UTF-8" if self.utf8 else "modified UTF-7"
            raise RefusedError(f"a folder's name is {coding}", "CANNOT") from error
        if len(name) > MAX_FOLDER_NAME:
            raise RefusedError("the folder's name is too long", "CANNOT")
        return name

    def sequence_set(self) -> SequenceSet:
        """Take a sequence set; `$` is the saved result of a search (RFC 5182)."""
        if self.accept(b"$"):
            return SAVED_RESULT
        text = self._match(_SEQUENCE, "a sequence set").group().decode()
        try:
            return parse_sequence_set(text)
        except ValueError as error:
            raise SyntaxFaultError(f"bad sequence set: {error}") from error

    def sequence_set_follows(self) -> bool:
        """Say whether a number, `*` or `$` comes next."""
        return self.peek(b"$") or _SEQUENCE.match(self._data, self._at) is not None

    def flag(self) -> str:
        """Take a flag that a client may set; system flags in their standard spelling."""
        flag = self._match(_FLAG, "a flag").group().decode()
        if len(flag) > MAX_FLAG_LENGTH:
            raise SyntaxFaultError("the flag is too long")
        if flag.startswith("\\"):
            known = _SYSTEM_BY_LOWER.get(flag.lower())
            if known is None:
                raise SyntaxFaultError(f"{flag} is no flag that can be set")
            return known
        return flag

    def flag_list(self) -> frozenset[str]:
        """Take flags in parentheses, maybe none."""
        flags: set[str] = set()
        self.expect(b"(")
        while not self.accept(b")"):
            if flags:
                self.space()
            flags.add(self.flag())
            if len(flags) > MAX_FLAGS:
                raise SyntaxFaultError("too many flags")
        return frozenset(flags)

    def flags(self) -> frozenset[str]:
        """Take flags with or without parentheses, as STORE allows."""
        if self.peek(b"("):
            return self.flag_list()
        flags = {self.flag()}
        while self.accept(b" "):
            flags.add(self.flag())
        return frozenset(flags)

    def date_time(self) -> datetime:
        """Take `"dd-Mon-yyyy hh:mm:ss +zzzz"`."""
        match = _DATE_TIME.fullmatch(self.string().decode("ascii", "replace"))
        if match is None:
            raise SyntaxFaultError("expected a date and time")
        day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
        offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
        try:
            zone = timezone(-offset if sign == "-" else offset)
            found = datetime(
                int(year), _month(month), int(day), int(hour), int(minute), int(second), tzinfo=zone
            )
            found.astimezone(UTC)  # no year 0 or 10000 there, which nothing could read back
        except (ValueError, OverflowError) as error:
            raise SyntaxFaultError("there is no such date") from error
        return found

    def date(self) -> date:
        """Take `d-Mon-yyyy`, quoted or not."""
        _, day, month, year = self._match(_DATE, "a date").groups()
        try:
            return date(int(year), _month(month.decode()), int(day))
        except ValueError as error:
            raise SyntaxFaultError("there is no such date") from error

    def section_part(self) -> tuple[int, ...]:
        """Take the number of a body part such as `1.2.3`, maybe none."""
        match = _SECTION_PART.match(self._data, self._at)
        if match is None:
            return ()
        self._at = match.end()
        return tuple(int(number) for number in match.group().split(b"."))


def format_date_time(value: datetime) -> str:
    """Write an internal date the way `Parser.date_time` reads it, in quotes."""
    month, zone = MONTHS[value.month - 1], _zone(value.tzinfo)
    time = f"{value.hour:02d}:{value.minute:02d}:{value.second:02d}"
    return f'"{value.day:02d}-{month}-{value.year:04d} {time} {zone}"'


@lru_cache(ZONES)
def _zone(zone: tzinfo | None) -> str:
    return f"{datetime.fromtimestamp(0, zone):%z}"


def _month(name: str) -> int:
    return MONTHS.index(name.capitalize()) + 1


def _utf8(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise SyntaxFaultError("expected UTF-8") from error

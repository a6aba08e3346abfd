"""SEARCH (RFC 3501 6.4.4): keys as a tree of predicates over one message at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import ClassVar, TypeAlias

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import RefusedError, SyntaxFaultError
from postmaster.imap.sequence import SequenceSet
from postmaster.message.header import find_fields, first
from postmaster.storage.interface import Content, Message, TextKey, TextScope, arrival_time

MAX_KEYS = 500
MAX_DEPTH = 50
CHARSETS = ("US-ASCII", "UTF-8")


@dataclass(frozen=True)
class Candidate:
    """A message that may match; its content is there when the search needs it."""

    message: Message
    number: int  # sequence number
    recent: bool
    content: Content | None = field(repr=False, default=None)

    @cached_property
    def sent(self) -> date | None:
        """The day of the Date field, None when there is none that makes sense."""
        header = self.content.header if self.content else b""
        value = first(find_fields(header, {b"date"}), b"date")
        try:
            return parsedate_to_datetime((value or b"").decode("latin-1")).date()
        except (ValueError, TypeError, IndexError, OverflowError):
            return None


@dataclass(frozen=True)
class Numbers:
    """What sequence sets refer to: the largest number and UID in the folder."""

    largest_number: int
    largest_uid: int
    saved: Sequence[int] = ()  # UIDs that `$` means (RFC 5182)


Matches: TypeAlias = Callable[[Candidate], bool]


@dataclass(frozen=True)
class _InText:
    """Matches what the store has found; its answer is there before a message is looked at."""

    key: TextKey
    texts: Mapping[TextKey, frozenset[int]]

    def __call__(self, candidate: Candidate) -> bool:
        return candidate.message.uid in self.texts[self.key]


@dataclass
class Search:
    """A parsed search, and what it needs: `headers` read, and the store's answers to `texts`."""

    matches: Matches
    required: Sequence[TextKey] = ()  # those of `texts` without which nothing matches
    headers: bool = False
    texts: dict[TextKey, frozenset[int]] = field(default_factory=dict)
    modseq: bool = False  # whether the answer tells the highest modseq (RFC 7162 3.1.5)
    by_number: bool = False  # whether there are sequence numbers in it (RFC 7162 3.2.10.2)

    def narrowed(self, uids: Sequence[int]) -> list[int]:
        """Return those of the messages that can match, by what the store has found."""
        answers = [self.texts[key] for key in self.required]
        return [uid for uid in uids if all(uid in answer for answer in answers)]


@dataclass
class SearchParser:
    """Reads search keys up to the end of the command."""

    parser: Parser
    numbers: Numbers
    headers: bool = False
    texts: dict[TextKey, frozenset[int]] = field(default_factory=dict)
    modseq: bool = False
    by_number: bool = False
    _keys: int = 0

    def search(self, *, charset: bool = True) -> Search:
        """Read `[CHARSET name] key …`, or `key …` unless `charset`.

        Raises SyntaxFaultError, or RefusedError for a charset.
        """
        if self.parser.accept(b"CHARSET "):
            if not charset:  # RFC 9755 3
                raise SyntaxFaultError("there is no CHARSET after UTF8=ACCEPT")
            self.charset()
        return self.criteria()

    def charset(self) -> None:
        """Read the name of a charset and the space behind it. Raises RefusedError."""
        if self.parser.text().upper() not in CHARSETS:
            raise RefusedError("unknown charset", f"BADCHARSET ({' '.join(CHARSETS)})")
        self.parser.space()

    def criteria(self) -> Search:
        """Read `key …`. Raises SyntaxFaultError."""
        keys = [self._key(0)]
        while not self.parser.at_end:
            self.parser.space()
            keys.append(self._key(0))
        required = [key.key for key in keys if isinstance(key, _InText)]
        return Search(_all(keys), required, self.headers, self.texts, self.modseq, self.by_number)

    def _key(self, depth: int) -> Matches:
        self._keys += 1
        if depth > MAX_DEPTH or self._keys > MAX_KEYS:
            raise SyntaxFaultError("the search is too complex")
        parser = self.parser
        if parser.accept(b"("):
            keys = [self._key(depth + 1)]
            while not parser.accept(b")"):
                parser.space()
                keys.append(self._key(depth + 1))
            return _all(keys)
        if parser.sequence_set_follows():
            return self._within(parser.sequence_set(), by_uid=False)
        name = parser.keyword()
        if name in FLAG_KEYS:
            return FLAG_KEYS[name]
        if name in {"NOT", "OR"}:
            parser.space()
            left = self._key(depth + 1)
            if name == "NOT":
                return lambda candidate: not left(candidate)
            parser.space()
            right = self._key(depth + 1)
            return lambda candidate: left(candidate) or right(candidate)
        read = self._WITH_ARGUMENT.get(name)
        if read is None:
            raise SyntaxFaultError(f"there is no search key {name}")
        parser.space()
        return read(self, name)

    def _within(self, chosen: SequenceSet, *, by_uid: bool) -> Matches:
        if chosen.saved:
            saved = frozenset(self.numbers.saved)
            return lambda candidate: candidate.message.uid in saved
        self.by_number |= not by_uid
        largest = self.numbers.largest_uid if by_uid else self.numbers.largest_number
        ranges = chosen.resolved(largest)
        starts = [low for low, _ in ranges]

        def matches(candidate: Candidate) -> bool:
            number = candidate.message.uid if by_uid else candidate.number
            index = bisect_right(starts, number) - 1
            return index >= 0 and number <= ranges[index][1]

        return matches

    def _uid(self, _name: str) -> Matches:
        return self._within(self.parser.sequence_set(), by_uid=True)

    def _keyword(self, name: str) -> Matches:
        flag = self.parser.flag()
        return _flag(flag, present=name == "KEYWORD")

    def _address_or_subject(self, name: str) -> Matches:
        return self._contains(TextKey(TextScope.FIELD, self.parser.text(), name))

    def _header(self, _name: str) -> Matches:
        name = self.parser.astring().decode("latin-1")
        self.parser.space()
        return self._contains(TextKey(TextScope.FIELD, self.parser.text(), name))

    def _body(self, name: str) -> Matches:
        return self._contains(TextKey(TextScope[name], self.parser.text()))

    def _contains(self, key: TextKey) -> Matches:
        self.texts[key] = frozenset()
        return _InText(key, self.texts)

    def _object_id(self, name: str) -> Matches:
        """RFC 8474 6; there are no THREADIDs, so none is found."""
        wanted = self.parser.object_id()
        if name == "THREADID":
            return lambda _: False
        return lambda candidate: candidate.message.email_id == wanted

    def _size(self, name: str) -> Matches:
        size = self.parser.number64()
        if name == "LARGER":
            return lambda candidate: candidate.message.size > size
        return lambda candidate: candidate.message.size < size

    def _age(self, name: str) -> Matches:
        """Seconds since a message came (RFC 5032); the clock is read once, for all of them."""
        seconds = self.parser.number()
        if seconds == 0:
            raise SyntaxFaultError(f"{name} takes at least one second")
        limit = arrival_time() - timedelta(seconds=seconds)
        if name == "OLDER":
            return lambda candidate: candidate.message.internal_date <= limit
        return lambda candidate: candidate.message.internal_date >= limit

    def _modseq(self, _name: str) -> Matches:
        """`MODSEQ ["entry" type] number`: flags have no modseqs of their own (RFC 7162 3.1.5)."""
        if self.parser.peek(b'"'):
            self.parser.string()
            self.parser.space()
            if self.parser.keyword() not in {"ALL", "PRIV", "SHARED"}:
                raise SyntaxFaultError("expected all, priv or shared")
            self.parser.space()
        modseq = self.parser.number64()
        self.modseq = True
        return lambda candidate: candidate.message.modseq >= modseq

    def _date(self, name: str) -> Matches:
        day = self.parser.date()
        if name.startswith("SENT"):
            self.headers = True
            compare = _DAY[name.removeprefix("SENT")]
            return lambda candidate: candidate.sent is not None and compare(candidate.sent, day)
        compare = _DAY[name]
        return lambda candidate: compare(candidate.message.internal_date.date(), day)

    _WITH_ARGUMENT: ClassVar[Mapping[str, Callable[[SearchParser, str], Matches]]] = {
        "UID": _uid,
        "KEYWORD": _keyword,
        "UNKEYWORD": _keyword,
        **dict.fromkeys(("FROM", "TO", "CC", "BCC", "SUBJECT"), _address_or_subject),
        "HEADER": _header,
        "BODY": _body,
        "TEXT": _body,
        "MODSEQ": _modseq,
        "EMAILID": _object_id,
        "THREADID": _object_id,
        "OLDER": _age,
        "YOUNGER": _age,
        "LARGER": _size,
        "SMALLER": _size,
        **dict.fromkeys(("BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"), _date),
    }


_DAY: dict[str, Callable[[date, date], bool]] = {
    "BEFORE": date.__lt__,
    "ON": date.__eq__,
    "SINCE": date.__ge__,
}


def _flag(flag: str, *, present: bool) -> Matches:
    wanted = flag.lower()

    def matches(candidate: Candidate) -> bool:
        found = any(item.lower() == wanted for item in candidate.message.flags)
        return found is present

    return matches


def _all(keys: list[Matches]) -> Matches:
    if len(keys) == 1:
        return keys[0]
    return lambda candidate: all(key(candidate) for key in keys)


FLAG_KEYS: dict[str, Matches] = {
    "ALL": lambda _: True,
    "RECENT": lambda candidate: candidate.recent,
    "OLD": lambda candidate: not candidate.recent,
    "NEW": lambda candidate: candidate.recent and "\\Seen" not in candidate.message.flags,
    **{
        prefix + name.upper(): _flag("\\" + name, present=not prefix)
        for name in ("Answered", "Deleted", "Draft", "Flagged", "Seen")
        for prefix in ("", "UN")
    },
}

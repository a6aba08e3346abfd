"""SORT (RFC 5256 3, RFC 5957): the keys, and messages put in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.message.order import (
    Heading,
    base_subject,
    display_name,
    mailbox_name,
    sent_seconds,
)
from postmaster.storage.interface import Message

MAX_SORT_KEYS = 20

Value: TypeAlias = int | str
Row: TypeAlias = tuple[Value, ...]  # the message's UID, then what each key compares


@dataclass(frozen=True)
class SortKey:
    """One key of an order, which may be reversed."""

    name: str
    reverse: bool = False


def parse_sort_keys(parser: Parser) -> tuple[SortKey, ...]:
    """Read `([REVERSE] KEY …)`; a key that comes again decides nothing, and is left out."""
    parser.expect(b"(")
    keys = [_key(parser)]
    while not parser.accept(b")"):
        parser.space()
        keys.append(_key(parser))
        if len(keys) > MAX_SORT_KEYS:
            raise SyntaxFaultError("too many sort keys")
    first: dict[str, SortKey] = {}
    for key in keys:
        first.setdefault(key.name, key)
    return tuple(first.values())


def _key(parser: Parser) -> SortKey:
    name, reverse = parser.keyword(), False
    if name == "REVERSE":
        parser.space()
        name, reverse = parser.keyword(), True
    if name not in _OF_MESSAGE and name not in _OF_HEADING:
        raise SyntaxFaultError(f"SORT does not know {name}")
    return SortKey(name, reverse)


def needs_headings(keys: Sequence[SortKey]) -> bool:
    """Say whether more is compared than what is known of a message without reading it."""
    return any(key.name in _OF_HEADING for key in keys)


def sort_row(message: Message, heading: Heading, keys: Sequence[SortKey]) -> Row:
    """Return what is compared of a message."""
    return (message.uid, *(_value(message, heading, key.name) for key in keys))


def sort_rows(rows: Sequence[Row], keys: Sequence[SortKey]) -> list[int]:
    """Return the UIDs in order; `rows` are in order of UID, which decides between equals."""
    ordered = list(rows)
    for column, key in reversed(list(enumerate(keys, 1))):
        ordered.sort(key=itemgetter(column), reverse=key.reverse)  # keeps the order of equals
    return [int(row[0]) for row in ordered]


def sent_or_arrived(message: Message, heading: Heading) -> int:
    """Return when a message was sent, in seconds since 1970 (RFC 5256 2.2)."""
    sent = sent_seconds(heading.date)
    return message.arrived if sent is None else sent


def _value(message: Message, heading: Heading, name: str) -> Value:
    of_message = _OF_MESSAGE.get(name)
    if of_message is not None:
        return of_message(message)
    return _OF_HEADING[name](message, heading)


_OF_MESSAGE: Mapping[str, Callable[[Message], Value]] = {
    "ARRIVAL": lambda message: message.arrived,
    "SIZE": lambda message: message.size,
}
_OF_HEADING: Mapping[str, Callable[[Message, Heading], Value]] = {
    "DATE": sent_or_arrived,
    "SUBJECT": lambda _, heading: base_subject(heading.subject)[0],
    "FROM": lambda _, heading: mailbox_name(heading.from_),
    "TO": lambda _, heading: mailbox_name(heading.to),
    "CC": lambda _, heading: mailbox_name(heading.cc),
    "DISPLAYFROM": lambda _, heading: display_name(heading.from_),
    "DISPLAYTO": lambda _, heading: display_name(heading.to),
}

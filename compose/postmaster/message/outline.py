"""A part tree as JSON, so that it is computed once, at delivery, and kept beside the message.

Bytes are written as text of the same code points (latin-1), which loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from postmaster.message.address import Address
from postmaster.message.mime import Envelope, Part
from postmaster.message.order import MAX_FIELD, MAX_REFERENCES, Heading

# Stored with each outline; one that is not readable is computed anew. Since 2 an address may have a
# route; what 1 lacks is so rare that its outlines do.
OUTLINE_VERSION = 2
READABLE_VERSIONS = frozenset({1, 2})

# Where in the JSON the fields of a heading are, of address lists the first entry.
HEADING_PATHS = (
    "$.envelope.date",
    "$.envelope.subject",
    "$.envelope.from_[0]",
    "$.envelope.to[0]",
    "$.envelope.cc[0]",
    "$.envelope.in_reply_to",
    "$.envelope.message_id",
)

_PART_DEFAULTS = {field.name: field.default for field in fields(Part)}
_ENVELOPE_DEFAULTS = {field.name: field.default for field in fields(Envelope)}


def dump_outline(part: Part) -> str:
    """Return the tree as compact JSON; what has its default value is left out."""
    return json.dumps(_plain(part), separators=(",", ":"), ensure_ascii=False)


def load_outline(text: str) -> Part:
    """Return the tree that `dump_outline` wrote."""
    return _part(json.loads(text))


def load_heading(text: str, references: bytes | None) -> Heading:
    """Return the heading of the JSON list of what is at HEADING_PATHS; null where nothing is."""
    date, subject, from_, to, cc, in_reply_to, message_id = json.loads(text)
    return Heading(
        _field(date, MAX_FIELD),
        _field(subject, MAX_FIELD),
        _first(from_),
        _first(to),
        _first(cc),
        _field(in_reply_to, MAX_REFERENCES),
        _field(message_id, MAX_FIELD),
        references,
    )


def _field(value: str | None, most: int) -> bytes | None:
    return None if value is None else value[:most].encode("latin-1")


def _first(entry: list[str | None] | None) -> Address | None:
    if entry is None:
        return None
    return Address(
        _field(entry[0], MAX_FIELD), _field(entry[1], MAX_FIELD), _field(entry[2], MAX_FIELD)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, Part):
        return _object(value, _PART_DEFAULTS)
    if isinstance(value, Envelope):
        return _object(value, _ENVELOPE_DEFAULTS)
    if isinstance(value, Address):
        items = [value.name, value.mailbox, value.host]
        return [_plain(item) for item in (items if value.route is None else [*items, value.route])]
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _object(value: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _plain(getattr(value, name))
        for name, default in defaults.items()
        if getattr(value, name) != default
    }


def _part(value: dict[str, Any]) -> Part:
    return Part(**{key: _READERS.get(key, _plain_value)(item) for key, item in value.items()})


def _envelope(value: dict[str, Any]) -> Envelope:
    known: dict[str, Any] = {
        key: _addresses(item) if isinstance(item, list) else _bytes(item)
        for key, item in value.items()
    }
    return Envelope(**known)


def _children(value: list[dict[str, Any]]) -> tuple[Part, ...]:
    return tuple([_part(child) for child in value])


def _disposition(value: list[Any]) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    kind, parameters = value
    return _bytes(kind), _pairs(parameters)


def _language(value: list[str]) -> tuple[bytes, ...]:
    return tuple([_bytes(tag) for tag in value])


def _addresses(value: list[list[str | None]]) -> tuple[Address, ...]:
    return tuple(
        [Address(*[None if item is None else _bytes(item) for item in entry]) for entry in value]
    )


def _pairs(value: list[list[str]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple([(_bytes(name), _bytes(text)) for name, text in value])


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _plain_value(value: str | int) -> bytes | int:
    return value.encode("latin-1") if isinstance(value, str) else value


# What is made of a part's values that are neither a text nor a number.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "parameters": _pairs,
    "disposition": _disposition,
    "language": _language,
    "children": _children,
    "message": _part,
    "envelope": _envelope,
}

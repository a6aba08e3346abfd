"""A part tree as JSON, so that it is computed once, at delivery, and kept beside the message.

Bytes are written as text of the same code points (latin-1), which loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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

# Where the envelope of the whole message is.
ENVELOPE_PATH = "$.envelope"


def dump_outline(part: Part) -> str:
    """Return the tree as compact JSON; what has its default value is left out."""
    return json.dumps(_plain(part), separators=(",", ":"), ensure_ascii=False)


def load_outline(text: str) -> Part:
    """Return the tree that `dump_outline` wrote."""
    return _part(json.loads(text))


def load_envelope(text: str) -> Envelope:
    """Return the envelope of the JSON at ENVELOPE_PATH."""
    return _envelope(json.loads(text))


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
    write = _WRITERS.get(type(value))
    return value if write is None else write(value)


def _object(value: Part | Envelope) -> dict[str, Any]:
    defaults = value._field_defaults
    return {
        name: _plain(item)
        for name, item in zip(value._fields, value, strict=True)
        if name not in defaults or item != defaults[name]
    }


def _list(value: tuple[Any, ...]) -> list[Any]:
    return [_plain(item) for item in value]


# What is made of values that JSON does not have.
_WRITERS: Mapping[type, Callable[[Any], Any]] = {
    bytes: lambda value: value.decode("latin-1"),
    Part: _object,
    Envelope: _object,
    Address: lambda value: _list(value[:3] if value.route is None else value),
    tuple: _list,
}


def _part(value: dict[str, Any]) -> Part:
    for key, item in value.items():
        if isinstance(item, str):
            value[key] = item.encode("latin-1")
        elif not isinstance(item, int):
            value[key] = _READERS[key](item)
    return Part(**value)


def _envelope(value: dict[str, Any]) -> Envelope:
    entries: list[list[str | None]] = []
    addresses: tuple[Address, ...] = ()
    for key, item in value.items():
        if isinstance(item, str):
            value[key] = item.encode("latin-1")
            continue
        if item != entries:  # Sender and Reply-To come after From, and are the same as a rule
            entries, addresses = item, _addresses(item)
        value[key] = addresses
    return Envelope(**value)


def _children(value: list[dict[str, Any]]) -> tuple[Part, ...]:
    return tuple([_part(child) for child in value])


def _disposition(value: list[Any]) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
    kind, parameters = value
    return _bytes(kind), _pairs(parameters)


def _language(value: list[str]) -> tuple[bytes, ...]:
    return tuple([_bytes(tag) for tag in value])


def _addresses(value: list[list[str | None]]) -> tuple[Address, ...]:
    return tuple(
        [
            Address(*[None if item is None else item.encode("latin-1") for item in entry])
            for entry in value
        ]
    )


def _pairs(value: list[list[str]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple([(_bytes(name), _bytes(text)) for name, text in value])


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


# What is made of a part's values that are neither a text nor a number.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "parameters": _pairs,
    "disposition": _disposition,
    "language": _language,
    "children": _children,
    "message": _part,
    "envelope": _envelope,
}

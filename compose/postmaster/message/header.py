"""Header fields (RFC 5322 2.2): names and unfolded values, as bytes."""

from __future__ import annotations

import re
from collections.abc import Collection
from email.header import decode_header
from itertools import islice
from typing import NamedTuple

# What lies beyond these stays in the message, but nothing looks at it.
MAX_FIELDS = 2000
MAX_HEADER_BYTES = 1024 * 1024

_EMPTY_LINE = re.compile(rb"\n\r?\n")
_NAME = re.compile(rb"[!-9;-~]+")  # RFC 5322 3.6.8
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_START = re.compile(rb"\n([!-9;-~]++)[ \t]*+:")  # possessive, for lines without a colon
_END = re.compile(rb"\n(?![ \t][^\S\n]*\S)|\Z")  # a line of nothing but space goes on with no field


class Field(NamedTuple):
    """One field: the name as written, the unfolded value without space around it."""

    name: bytes
    value: bytes
    raw: bytes  # the whole field with its line breaks


def header_length(data: bytes, start: int = 0, end: int | None = None) -> int:
    """Return how many bytes of `data[start:end]` are header, the empty line included.

    Without an empty line all of it is header.
    """
    end = len(data) if end is None else end
    for blank in (b"\n", b"\r\n"):
        if data.startswith(blank, start, end):
            return len(blank)
    match = _EMPTY_LINE.search(data, start, end)
    return (match.end() if match else end) - start


def parse_fields(header: bytes) -> list[Field]:
    """Return the fields in order; lines that are no field are passed over."""
    fields: list[Field] = []
    block: list[bytes] = []
    for line in [*header[:MAX_HEADER_BYTES].split(b"\n"), b""]:
        if line[:1] in (b" ", b"\t") and block and line.strip():
            block.append(line)
            continue
        if block:
            field = _field(b"\n".join(block) + b"\n")
            if field is not None:
                fields.append(field)
                if len(fields) >= MAX_FIELDS:
                    break
        block = [line] if line.strip(b"\r") else []
    return fields


def _field(raw: bytes) -> Field | None:
    name, colon, value = raw.partition(b":")
    name = name.rstrip(b" \t")
    if not colon or not _NAME.fullmatch(name):
        return None
    return Field(name, _unfolded(value), raw)


def _unfolded(value: bytes) -> bytes:
    value = value.strip(b" \t\r\n")
    return _FOLD.sub(b"", value) if b"\n" in value else value


def find_fields(header: bytes, names: Collection[bytes]) -> list[Field]:
    """Return the fields with one of these names (lower case), as `parse_fields` does.

    Nothing is made of all the others, which takes a fraction of the time.
    """
    fields: list[Field] = []
    lines = b"\n" + header[:MAX_HEADER_BYTES]
    for match in islice(_START.finditer(lines), MAX_FIELDS):
        name = match[1]
        if name.lower() in names and (found := _END.search(lines, match.end())):
            start, colon, end = match.start() + 1, match.end(), found.start()
            fields.append(Field(name, _unfolded(lines[colon:end]), lines[start:end] + b"\n"))
    return fields


def values_by_name(header: bytes) -> dict[bytes, list[bytes]]:
    """Return the values of all fields by name (lower case), those of one name in order."""
    values: dict[bytes, list[bytes]] = {}
    for field in parse_fields(header):
        values.setdefault(field.name.lower(), []).append(field.value)
    return values


def first(fields: list[Field], name: bytes) -> bytes | None:
    """Return the value of the first field of that name (lower case), None when there is none."""
    return next((field.value for field in fields if field.name.lower() == name), None)


def decode_text(value: bytes) -> str:
    """Return the text that a reader sees: encoded words (RFC 2047) and 8-bit UTF-8 decoded."""
    text = value.decode("utf-8", "replace")
    if "=?" not in text:
        return text
    try:
        pieces = decode_header(text)
    except Exception:  # whatever the library thinks of hostile words
        return text
    decoded = []
    for piece, charset in pieces:
        if isinstance(piece, str):
            decoded.append(piece)
            continue
        try:
            decoded.append(piece.decode(charset or "utf-8", "replace"))
        except (LookupError, ValueError):
            decoded.append(piece.decode("latin-1"))
    return "".join(decoded)

"""Writing responses: strings as atoms, quoted or literal, whichever carries the bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from postmaster.imap import mutf7

FLAG_LISTS = 256  # that are made once; most messages have the same

_PLAIN = re.compile(rb"[ !#-\[\]-~]{0,1000}")  # as a rule nothing is to be escaped
_QUOTABLE = re.compile(rb"[\x20-\x7e]{0,1000}")
_TO_ESCAPE = re.compile(rb'(["\\])')


def string(value: bytes) -> bytes:
    """Return `value` as a quoted string when it is short printable ASCII, else as a literal."""
    if _PLAIN.fullmatch(value):
        return b'"%b"' % value
    if not _QUOTABLE.fullmatch(value):
        return literal(value)
    return b'"%b"' % _TO_ESCAPE.sub(rb"\\\1", value)


def literal(value: bytes) -> bytes:
    """Return `value` as a literal; NUL cannot be carried and is written as 0x80 (RFC 3501 4.3)."""
    if b"\0" in value:
        value = value.replace(b"\0", b"\x80")
    return b"{%d}\r\n" % len(value) + value


def nstring(value: bytes | None) -> bytes:
    """Return `value` as a string, None as NIL."""
    return b"NIL" if value is None else string(value)


def binary(value: bytes | None) -> bytes:
    """Return `value` as a literal, as a literal8 when only that carries it (RFC 3516 7)."""
    if value is None:
        return b"NIL"
    return (b"~" if b"\0" in value else b"") + b"{%d}\r\n" % len(value) + value


def folder(name: str, *, utf8: bool) -> bytes:
    """Return a folder's name, in modified UTF-7 or, when `utf8`, as it is (RFC 9755 3)."""
    if not utf8:
        return string(mutf7.encode(name).encode())
    return b'"' + _TO_ESCAPE.sub(rb"\\\1", name.encode()) + b'"'


def parenthesised(items: Iterable[bytes]) -> bytes:
    """Return items between parentheses, separated by spaces."""
    return b"(" + b" ".join(items) + b")"


@lru_cache(FLAG_LISTS)
def flags(values: frozenset[str]) -> bytes:
    """Return a flag list."""
    return parenthesised(value.encode() for value in sorted(values))

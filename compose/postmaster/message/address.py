"""Address lists of header fields (RFC 5322 3.4), leniently, for the IMAP envelope."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_ADDRESSES = 10_000
MAX_ROUTE_WORDS = 100

_TOKEN = re.compile(
    rb'[ \t\r\n]+|"(?:[^"\\]|\\.)*"?|\[[^\]]*\]?|[()<>@,;:]|[^ \t\r\n"\[()<>@,;:]+', re.DOTALL
)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


class Address(NamedTuple):
    """One entry of an envelope's list (RFC 9051 7.5.2).

    A group starts with an entry that has a mailbox and no host, and ends with one that has
    neither.
    """

    name: bytes | None
    mailbox: bytes | None
    host: bytes | None
    route: bytes | None = None  # the obsolete source route (RFC 5322 4.4), without its colon


def parse_addresses(value: bytes) -> tuple[Address, ...]:
    """Return the addresses of a field's unfolded value; what makes no sense is left out."""
    found: list[Address] = []
    in_group = False
    words: list[tuple[bytes, bytes]] = []  # (kind, text) of the entry under way
    for kind, text in _tokens(value):
        if len(found) >= MAX_ADDRESSES:
            break
        if kind == b":" and not in_group and not _has(words, b"<"):
            found.append(Address(None, _phrase(words) or b"", None))
            in_group, words = True, []
        elif kind in {b",", b";"} and not _in_route(words):
            _finish(words, found)
            words = []
            if kind == b";" and in_group:
                found.append(Address(None, None, None))
                in_group = False
        else:
            words.append((kind, text))
    _finish(words, found)
    if in_group:
        found.append(Address(None, None, None))
    return tuple(found)


def _tokens(value: bytes) -> list[tuple[bytes, bytes]]:
    """Split into (kind, text): `w` word, `c` comment, ` ` space, or the special itself."""
    tokens: list[tuple[bytes, bytes]] = []
    position = 0
    while position < len(value):
        if value[position] == ord("("):
            comment, position = _comment(value, position)
            tokens.append((b"c", comment))
            continue
        match = _TOKEN.match(value, position)
        if match is None:
            break
        position = match.end()
        text = match.group()
        if text[:1] in b" \t\r\n":
            tokens.append((b" ", b" "))
        elif text in {b"<", b">", b"@", b",", b";", b":"}:
            tokens.append((text, text))
        elif text != b")":
            tokens.append((b"w", text))
    return tokens


def _comment(value: bytes, start: int) -> tuple[bytes, int]:
    depth, position = 0, start
    while position < len(value):
        character = value[position]
        if character == ord("\\"):
            position += 1
        elif character == ord("("):
            depth += 1
        elif character == ord(")"):
            depth -= 1
            if depth == 0:
                return _unescape(value[start + 1 : position]), position + 1
        position += 1
    return _unescape(value[start + 1 :]), len(value)


def _finish(words: list[tuple[bytes, bytes]], found: list[Address]) -> None:
    name: bytes | None
    route: bytes | None = None
    kinds = [kind for kind, _ in words]
    if b"<" in kinds:
        opening = kinds.index(b"<")
        closing = kinds.index(b">", opening) if b">" in kinds[opening:] else len(words)
        name = _phrase(words[:opening])
        inside = words[opening + 1 : closing]
        if (b":", b":") in inside:
            colon = inside.index((b":", b":"))
            words_of_route = [text for kind, text in inside[:colon] if kind not in {b" ", b"c"}]
            route = b"".join(words_of_route) or None
            inside = inside[colon + 1 :]
    else:
        comments = [text for kind, text in words if kind == b"c"]
        name = comments[-1].strip() or None if comments else None
        inside = words
    spec = [text for kind, text in inside if kind not in {b" ", b"c"}]
    if not spec:
        return
    if b"@" in spec:
        at = len(spec) - 1 - spec[::-1].index(b"@")
        mailbox, host = b"".join(map(_unquote, spec[:at])), b"".join(spec[at + 1 :])
    else:
        mailbox, host = b" ".join(map(_unquote, spec)), b""
    # An empty host keeps the entry from being taken for the start of a group.
    found.append(Address(name, mailbox, host, route))


def _phrase(words: list[tuple[bytes, bytes]]) -> bytes | None:
    text = b"".join(_unquote(text) for kind, text in words if kind != b"c").strip()
    return text or None


def _has(words: list[tuple[bytes, bytes]], kind: bytes) -> bool:
    return any(word_kind == kind for word_kind, _ in words)


def _in_route(words: list[tuple[bytes, bytes]]) -> bool:
    """Say whether an obsolete source route such as `<@a,@b:` is under way (RFC 5322 4.4)."""
    kinds = [kind for kind, _ in words[-MAX_ROUTE_WORDS:] if kind not in {b" ", b"c"}]
    if b"<" not in kinds or b":" in kinds:
        return False
    return kinds[kinds.index(b"<") + 1 :][:1] == [b"@"]


def _unquote(word: bytes) -> bytes:
    return _unescape(word[1:].removesuffix(b'"')) if word.startswith(b'"') else word


def _unescape(text: bytes) -> bytes:
    return _ESCAPE.sub(rb"\1", text)

"""`BINARY[…]` and `BINARY.SIZE[…]` of FETCH (RFC 3516): parts without their transfer encoding."""

from __future__ import annotations

from dataclasses import dataclass

from postmaster.imap import wire
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import RefusedError
from postmaster.imap.section import find_part, parse_partial
from postmaster.message.text import decode_body
from postmaster.storage.interface import Content

ENCODINGS = frozenset({b"7BIT", b"8BIT", b"BINARY", b"BASE64", b"QUOTED-PRINTABLE"})


@dataclass(frozen=True)
class BinarySection:
    """A part to be decoded; `label` is what the answer calls it."""

    label: bytes
    part: tuple[int, ...] = ()  # the whole message when empty
    size_only: bool = False
    partial: tuple[int, int] | None = None  # first byte, and how many
    peek: bool = True

    @property
    def needs_body(self) -> bool:
        """Say whether the header alone does not suffice: always."""
        return True


def parse_binary(parser: Parser) -> BinarySection:
    """Read one of the BINARY items."""
    parser.expect(b"BINARY")
    size_only = parser.accept(b".SIZE")
    peek = not size_only and parser.accept(b".PEEK")
    parser.expect(b"[")
    part = parser.section_part()
    parser.expect(b"]")
    partial = None if size_only else parse_partial(parser)
    label = "BINARY" + (".SIZE" if size_only else "") + f"[{'.'.join(map(str, part))}]"
    if partial is not None:
        label += f"<{partial[0]}>"
    return BinarySection(label.encode(), part, size_only, partial, peek=peek or size_only)


def binary_item(section: BinarySection, content: Content) -> bytes:
    """Answer an item; `require_decodable` was asked before."""
    data = _decoded(section, content)
    if section.size_only:
        return section.label + b" %d" % len(data or b"")
    if data is not None and section.partial is not None:
        start, count = section.partial
        data = data[start : start + count]
    return section.label + b" " + wire.binary(data)


def require_decodable(section: BinarySection, content: Content) -> None:
    """Raise RefusedError for a part in a transfer encoding that nobody knows."""
    if not section.part or content.outline is None:
        return
    part = find_part(content.outline, section.part)
    if part is not None and part.encoding not in ENCODINGS:
        raise RefusedError("the transfer encoding of the part is unknown", "UNKNOWN-CTE")


def _decoded(section: BinarySection, content: Content) -> bytes | None:
    if not section.part:
        return content.raw
    if content.outline is None:
        raise ValueError("the outline was not read")
    part = find_part(content.outline, section.part)
    if part is None:
        return None
    if part.is_multipart or part.message is not None:
        return content.raw[part.body : part.end]  # of these nothing is encoded (RFC 2045 6.4)
    return decode_body(content.raw, part)

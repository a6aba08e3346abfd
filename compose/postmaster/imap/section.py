"""`BODY[…]` of FETCH (RFC 3501 6.4.5): which bytes of a message are meant, and those bytes."""

from __future__ import annotations

from dataclasses import dataclass

from postmaster.imap import wire
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.message.header import find_fields, parse_fields
from postmaster.message.mime import Part
from postmaster.storage.interface import Content

MAX_FIELD_NAMES = 200


@dataclass(frozen=True)
class Section:
    """`BODY[…]` or one of its older names; `label` is what the answer calls it."""

    label: bytes
    part: tuple[int, ...] = ()
    text: str = ""  # "", HEADER, TEXT, MIME, HEADER.FIELDS or HEADER.FIELDS.NOT
    fields: frozenset[bytes] = frozenset()  # lower case
    partial: tuple[int, int] | None = None  # first byte, and how many
    peek: bool = True

    @property
    def needs_body(self) -> bool:
        """Say whether the header alone does not suffice."""
        return bool(self.part) or not self.text.startswith("HEADER")


def parse_section(parser: Parser, *, peek: bool) -> Section:
    """Read what follows `BODY[` or `BODY.PEEK[`."""
    part = parser.section_part()
    label = ".".join(map(str, part))
    text = ""
    names: list[bytes] = []
    if (part and parser.accept(b".")) or (not part and not parser.peek(b"]")):
        text = parser.keyword()
        if text not in {"HEADER", "TEXT", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "MIME"}:
            raise SyntaxFaultError(f"there is no section {text}")
        if text == "MIME" and not part:
            raise SyntaxFaultError("MIME needs the number of a part")
        label += ("." if part else "") + text
    if text.startswith("HEADER.FIELDS"):
        names = _field_names(parser)
        label += " (" + " ".join(name.decode() for name in names) + ")"
    parser.expect(b"]")
    partial = parse_partial(parser)
    return Section(
        label=f"BODY[{label}]".encode() + (b"<%d>" % partial[0] if partial else b""),
        part=part,
        text=text,
        fields=frozenset(name.lower() for name in names),
        partial=partial,
        peek=peek,
    )


def _field_names(parser: Parser) -> list[bytes]:
    parser.space()
    parser.expect(b"(")
    names: list[bytes] = []
    while not parser.accept(b")"):
        if names:
            parser.space()
        name = parser.astring()
        if not name or len(names) >= MAX_FIELD_NAMES or any(b <= 32 or b >= 127 for b in name):
            raise SyntaxFaultError("bad names of header fields")
        names.append(name)
    if not names:
        raise SyntaxFaultError("expected names of header fields")
    return names


def parse_partial(parser: Parser) -> tuple[int, int] | None:
    """Read `<first.count>`; None when there is none."""
    if not parser.accept(b"<"):
        return None
    start = parser.number64()  # RFC 9051 9, `partial`
    parser.expect(b".")
    count = parser.number64()
    parser.expect(b">")
    if count == 0:
        raise SyntaxFaultError("a partial fetch takes at least one byte")
    return start, count


def section_item(section: Section, content: Content) -> bytes:
    """Answer a section; the content must have been read as the request says."""
    data = section_bytes(section, content)
    if data is not None and section.partial is not None:
        start, count = section.partial
        data = data[start : start + count]
    return section.label + b" " + (b"NIL" if data is None else wire.literal(data))


def section_bytes(section: Section, content: Content) -> bytes | None:
    """Return the bytes of a section, None when the message has no such part."""
    if not section.part:
        if section.text.startswith("HEADER"):
            return _header(section, content.header)
        return content.raw if section.text == "" else content.body
    if content.outline is None:
        raise ValueError("the outline was not read")
    part = find_part(content.outline, section.part)
    if part is not None and section.text not in {"", "MIME"}:
        part = part.message  # these are of message/rfc822 parts only
    if part is None:
        return None
    if section.text in {"", "TEXT"}:
        return content.raw[part.body : part.end]
    return _header(section, content.raw[part.start : part.body])


def find_part(root: Part, numbers: tuple[int, ...]) -> Part | None:
    """Return the part of a number such as (1, 2) (RFC 3501 6.4.5)."""
    part = root
    inside_message = True  # the numbers count within a message or a multipart
    for number in numbers:
        if part.message is not None and not inside_message:
            part, inside_message = part.message, True
        if part.is_multipart:
            if number > len(part.children):
                return None
            part = part.children[number - 1]
        elif number != 1 or not inside_message:
            return None
        inside_message = False
    return part


def _header(section: Section, header: bytes) -> bytes:
    if section.text in {"HEADER", "MIME"}:
        return header
    if section.text == "HEADER.FIELDS":
        chosen = find_fields(header, section.fields)
    else:
        chosen = [f for f in parse_fields(header) if f.name.lower() not in section.fields]
    return b"".join([field.raw for field in chosen]) + b"\r\n"

"""What FETCH may ask for (RFC 3501 6.4.5): read from the command, answered from a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from postmaster.imap import wire
from postmaster.imap.grammar import Parser, format_date_time
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.structure import body_structure, envelope
from postmaster.message.header import parse_fields
from postmaster.message.mime import Part
from postmaster.storage.interface import Content, Message

MAX_ITEMS = 200
MAX_FIELD_NAMES = 200

MACROS = {
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
SIMPLE = frozenset(
    {"FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE"}
)
_OF_OUTLINE = frozenset({"ENVELOPE", "BODY", "BODYSTRUCTURE"})


@dataclass(frozen=True)
class Attribute:
    """One of the simple items."""

    name: str


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


Item: TypeAlias = Attribute | Section


@dataclass(frozen=True)
class FetchRequest:
    """All that one FETCH asks for, and what has to be read for it."""

    items: tuple[Item, ...]

    @property
    def sections(self) -> tuple[Section, ...]:
        """The items that are bytes of the message."""
        return tuple(item for item in self.items if isinstance(item, Section))

    @property
    def marks_seen(self) -> bool:
        """Say whether fetching this sets \\Seen."""
        return any(not section.peek for section in self.sections)

    @property
    def needs_bodies(self) -> bool:
        """Say whether bodies have to be read."""
        return any(section.needs_body for section in self.sections)

    @property
    def needs_outlines(self) -> bool:
        """Say whether the part tree is needed."""
        names = {item.name for item in self.items if isinstance(item, Attribute)}
        return bool(names & _OF_OUTLINE) or any(section.part for section in self.sections)

    @property
    def needs_contents(self) -> bool:
        """Say whether anything beyond flags, dates and sizes is needed."""
        return bool(self.sections) or self.needs_outlines


def parse_fetch(parser: Parser, *, by_uid: bool) -> FetchRequest:
    """Read the items of FETCH up to the end of the command."""
    items: list[Item] = []
    if parser.accept(b"("):
        items.append(_item(parser))
        while not parser.accept(b")"):
            parser.space()
            items.append(_item(parser))
            if len(items) > MAX_ITEMS:
                raise SyntaxFaultError("too many items")
    else:
        macro = next((name for name in MACROS if _is_macro(parser, name)), None)
        items += [Attribute(name) for name in MACROS[macro]] if macro else [_item(parser)]
    parser.end()
    if by_uid and Attribute("UID") not in items:
        items.insert(0, Attribute("UID"))
    return FetchRequest(tuple(dict.fromkeys(items)))


def _is_macro(parser: Parser, name: str) -> bool:
    if not parser.accept(name.encode()):
        return False
    parser.end()
    return True


def _item(parser: Parser) -> Item:
    for prefix, peek in ((b"BODY.PEEK[", True), (b"BODY[", False)):
        if parser.accept(prefix):
            return _section(parser, peek=peek)
    name = parser.keyword()
    if name in SIMPLE:
        return Attribute(name)
    label = name.encode()
    if name == "RFC822":
        return Section(label, peek=False)
    if name == "RFC822.HEADER":
        return Section(label, text="HEADER")
    if name == "RFC822.TEXT":
        return Section(label, text="TEXT", peek=False)
    raise SyntaxFaultError(f"{name} cannot be fetched")


def _section(parser: Parser, *, peek: bool) -> Section:
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
    partial = _partial(parser)
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


def _partial(parser: Parser) -> tuple[int, int] | None:
    if not parser.accept(b"<"):
        return None
    start = parser.number()
    parser.expect(b".")
    count = parser.number()
    parser.expect(b">")
    if count == 0:
        raise SyntaxFaultError("a partial fetch takes at least one byte")
    return start, count


def message_item(item: Attribute, message: Message, flags: frozenset[str]) -> bytes | None:
    """Answer what needs no content; None for what does. `flags` are those of the session."""
    if item.name == "FLAGS":
        return b"FLAGS " + wire.flags(flags)
    if item.name == "UID":
        return b"UID %d" % message.uid
    if item.name == "INTERNALDATE":
        return b"INTERNALDATE " + format_date_time(message.internal_date).encode()
    if item.name == "RFC822.SIZE":
        return b"RFC822.SIZE %d" % message.size
    return None


def content_item(item: Item, content: Content) -> bytes:
    """Answer what needs content, which must have been read as the request says."""
    if isinstance(item, Section):
        data = section_bytes(item, content)
        if data is not None and item.partial is not None:
            start, count = item.partial
            data = data[start : start + count]
        return item.label + b" " + (b"NIL" if data is None else wire.literal(data))
    outline = content.outline
    if outline is None or outline.envelope is None:
        raise ValueError("the outline was not read")
    if item.name == "ENVELOPE":
        return b"ENVELOPE " + envelope(outline.envelope)
    extensible = item.name == "BODYSTRUCTURE"
    return item.name.encode() + b" " + body_structure(outline, extensible=extensible)


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
    wanted = section.text == "HEADER.FIELDS"
    chosen = (
        field.raw
        for field in parse_fields(header)
        if (field.name.lower() in section.fields) is wanted
    )
    return b"".join(chosen) + b"\r\n"

"""What FETCH may ask for (RFC 3501 6.4.5): read from the command, answered from a message."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeAlias

from postmaster.imap import wire
from postmaster.imap.binary import BinarySection, binary_item, parse_binary, require_decodable
from postmaster.imap.grammar import Parser, format_date_time
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.section import Section, parse_section, section_item
from postmaster.imap.structure import body_structure, envelope
from postmaster.storage.interface import Content, Message

MAX_ITEMS = 200

MACROS = {
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
_STRUCTURES = frozenset({"BODY", "BODYSTRUCTURE"})


@dataclass(frozen=True)
class Attribute:
    """One of the simple items."""

    name: str


ENVELOPE = Attribute("ENVELOPE")
PREVIEW = Attribute("PREVIEW")

Item: TypeAlias = Attribute | Section | BinarySection


@dataclass(frozen=True)
class FetchRequest:
    """All that one FETCH asks for, and what has to be read for it."""

    items: tuple[Item, ...]
    changed_since: int | None = None  # modseq; only what changed after it (RFC 7162 3.1.4.1)
    vanished: bool = False  # and what is gone since (RFC 7162 3.2.6)

    @property
    def sections(self) -> tuple[Section | BinarySection, ...]:
        """The items that are bytes of the message."""
        return tuple(item for item in self.items if not isinstance(item, Attribute))

    @property
    def tells_modseqs(self) -> bool:
        """Say whether the client wants modseqs, now and from now on."""
        return Attribute("MODSEQ") in self.items

    def require_decodable(self, contents: Collection[Content]) -> None:
        """Raise RefusedError when something of the contents cannot be answered."""
        for item in self.items:
            if isinstance(item, BinarySection):
                for content in contents:
                    require_decodable(item, content)

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
        return bool(names & _STRUCTURES) or any(section.part for section in self.sections)

    @property
    def needs_envelopes(self) -> bool:
        """Say whether envelopes are needed."""
        return ENVELOPE in self.items

    @property
    def needs_previews(self) -> bool:
        """Say whether the beginnings of texts are needed."""
        return PREVIEW in self.items

    @property
    def needs_contents(self) -> bool:
        """Say whether anything beyond flags, dates and sizes is needed."""
        return any(map(needs_content, self.items))


def needs_content(item: Item) -> bool:
    """Say whether an item needs more than flags, date and size of a message."""
    return not isinstance(item, Attribute) or not (item.name == "FLAGS" or item.name in OF_MESSAGE)


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
    changed_since, vanished = _modifiers(parser, by_uid=by_uid)
    parser.end()
    if changed_since is not None:
        items.append(Attribute("MODSEQ"))
    if by_uid and Attribute("UID") not in items:
        items.insert(0, Attribute("UID"))
    return FetchRequest(tuple(dict.fromkeys(items)), changed_since, vanished)


def _modifiers(parser: Parser, *, by_uid: bool) -> tuple[int | None, bool]:
    """Read ` (CHANGEDSINCE 5 VANISHED)`, in any order, or nothing."""
    changed_since, vanished = None, False
    if not parser.accept(b" ("):
        return None, False
    while True:
        name = parser.keyword()
        if name == "CHANGEDSINCE" and changed_since is None:
            parser.space()
            changed_since = parser.number64()
        elif name == "VANISHED" and by_uid and not vanished:
            vanished = True
        else:
            raise SyntaxFaultError(f"{name} is not possible here")
        if parser.accept(b")"):
            break
        parser.space()
    if changed_since is None:
        raise SyntaxFaultError("VANISHED needs CHANGEDSINCE")
    return changed_since, vanished


def _is_macro(parser: Parser, name: str) -> bool:
    """Take a macro, which stands alone: FULL, but not the first four letters of something else."""
    return parser.accept_word(name.encode())


def _item(parser: Parser) -> Item:
    for prefix, peek in ((b"BODY.PEEK[", True), (b"BODY[", False)):
        if parser.accept(prefix):
            return parse_section(parser, peek=peek)
    if parser.peek(b"BINARY"):
        return parse_binary(parser)
    name = parser.keyword()
    attribute = Attribute(name)
    if attribute == ENVELOPE or name in _STRUCTURES or not needs_content(attribute):
        return attribute
    if name == PREVIEW.name:
        parser.accept(b" (LAZY)")  # RFC 8970 3.1: it is never long in coming
        return PREVIEW
    if name in _OLDER:
        return _OLDER[name]
    raise SyntaxFaultError(f"{name} cannot be fetched")


_OLDER: dict[str, Section] = {
    "RFC822": Section(b"RFC822", peek=False),
    "RFC822.HEADER": Section(b"RFC822.HEADER", text="HEADER"),
    "RFC822.TEXT": Section(b"RFC822.TEXT", text="TEXT", peek=False),
}


OfMessage: TypeAlias = tuple[bytes, Callable[[Message], int | bytes]]
"""How an item that needs no content is written, and of what."""

# All but FLAGS, which depend on the session.
OF_MESSAGE: Mapping[str, OfMessage] = {
    "UID": (b"UID %d", attrgetter("uid")),
    "INTERNALDATE": (
        b"INTERNALDATE %b",
        lambda message: format_date_time(message.internal_date).encode(),
    ),
    "RFC822.SIZE": (b"RFC822.SIZE %d", attrgetter("size")),
    "MODSEQ": (b"MODSEQ (%d)", attrgetter("modseq")),
    "EMAILID": (b"EMAILID (%b)", lambda message: message.email_id.encode()),
    "THREADID": (b"THREADID %b", lambda _: b"NIL"),  # there are none (RFC 8474 5.2)
}


def content_item(item: Item, content: Content, *, rev2: bool) -> bytes:
    """Answer what needs content, which must have been read as the request says.

    `rev2`: to a client that speaks IMAP4rev2.
    """
    if isinstance(item, BinarySection):
        return binary_item(item, content)
    if isinstance(item, Section):
        return section_item(item, content)
    if item == PREVIEW:
        return b"PREVIEW " + wire.string((content.preview or "").encode())
    if item == ENVELOPE:
        if content.envelope is None:
            raise ValueError("the envelope was not read")
        return b"ENVELOPE " + envelope(content.envelope)
    if content.outline is None:
        raise ValueError("the outline was not read")
    extensible = item.name == "BODYSTRUCTURE"
    structure = body_structure(content.outline, extensible=extensible, rev2=rev2)
    return item.name.encode() + b" " + structure

"""LIST and LSUB (RFC 3501 6.3.8, RFC 5258): what is asked for, and the folders that answer it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from postmaster.imap import wire
from postmaster.imap.grammar import Parser
from postmaster.imap.listing import Pattern
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.status import parse_status_items
from postmaster.storage.interface import DELIMITER, INBOX, Folder

MAX_PATTERNS = 100
SELECTIONS = frozenset({"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"})
RETURNS = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS"})


@dataclass(frozen=True)
class ListRequest:
    """One LIST. Children and special use are always told, so those options change nothing."""

    patterns: tuple[str, ...]  # with the reference in front
    selection: frozenset[str] = frozenset()
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()  # items of STATUS (RFC 5819)
    extended: bool = False

    @property
    def asks_for_delimiter(self) -> bool:
        """Say whether it is the plain form that only asks for the delimiter."""
        return not self.extended and self.patterns == ("",)

    def selects(self, folder: Folder | None, *, subscribed: bool) -> bool:
        """Say whether a folder meets the selection options; None is a name without a folder."""
        if "SUBSCRIBED" in self.selection and not subscribed:
            return False
        if "SPECIAL-USE" in self.selection:
            return folder is not None and folder.special_use is not None
        return True


@dataclass(frozen=True)
class Entry:
    """A folder in the answer; `folder` is None for a parent that is no folder itself."""

    name: str
    folder: Folder | None
    attributes: tuple[str, ...]
    selected: bool = True  # meets the selection options itself
    child_info: bool = False
    old_name: str | None = None  # another that the client used (RFC 9051 6.3.9.7)

    def line(self, kind: str, *, utf8: bool) -> bytes:
        """Return the LIST or LSUB response."""
        head = f'* {kind} ({" ".join(self.attributes)}) "{DELIMITER}" '.encode()
        extra = b' ("CHILDINFO" ("SUBSCRIBED"))' if self.child_info else b""
        if self.old_name is not None:
            extra = b' ("OLDNAME" (%b))' % wire.folder(self.old_name, utf8=utf8)
        return head + wire.folder(self.name, utf8=utf8) + extra


def parse_list(parser: Parser) -> ListRequest:
    """Read the arguments of LIST up to the end of the command."""
    parser.space()
    selection: frozenset[str] = frozenset()
    extended = parser.peek(b"(")
    if extended:
        selection = _options(parser, SELECTIONS)
        parser.space()
        if "RECURSIVEMATCH" in selection and not selection & {"SUBSCRIBED", "SPECIAL-USE"}:
            raise SyntaxFaultError("RECURSIVEMATCH needs what it should match")
    reference = parser.mailbox()
    parser.space()
    several = parser.peek(b"(")
    patterns = _patterns(parser) if several else (parser.list_mailbox(),)
    returns: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    with_returns = parser.accept(b" RETURN ")
    if with_returns:
        returns, status = _returns(parser)
    parser.end()
    return ListRequest(
        # Without a pattern the plain form asks for the delimiter, whatever the reference is.
        patterns=tuple(reference + pattern if pattern else "" for pattern in patterns),
        selection=selection,
        returns=returns,
        status=status,
        extended=extended or several or with_returns,
    )


def parse_lsub(parser: Parser) -> ListRequest:
    """Read the arguments of LSUB up to the end of the command."""
    parser.space()
    reference = parser.mailbox()
    parser.space()
    pattern = parser.list_mailbox()
    parser.end()
    return ListRequest((reference + pattern if pattern else "",), frozenset({"SUBSCRIBED"}))


@dataclass(frozen=True)
class Folders:
    """What there is to be listed: `lost` are subscribed names that no folder has any more."""

    existing: Sequence[Folder]
    lost: Sequence[str] = ()

    @property
    def subscribed(self) -> frozenset[str]:
        """All names that are subscribed."""
        return frozenset((*self.lost, *(f.name for f in self.existing if f.subscribed)))


def list_entries(folders: Folders, request: ListRequest) -> list[Entry]:
    """Return what LIST answers, INBOX first, then by name."""
    by_name = {folder.name: folder for folder in folders.existing}
    subscribed = folders.subscribed
    known = {*by_name, *subscribed} if "SUBSCRIBED" in request.selection else {*by_name}
    names = _with_parents(known)
    parents = {parent for name in names for parent in parents_of(name)}
    patterns = [Pattern(pattern) for pattern in request.patterns]
    matched = {name for name in names if any(pattern(name) for pattern in patterns)}
    selected = {
        name for name in names if request.selects(by_name.get(name), subscribed=name in subscribed)
    }
    with_hidden: set[str] = set()  # parents of folders that are selected but do not match
    if "RECURSIVEMATCH" in request.selection:
        for name in selected - matched:
            with_hidden.update(parents_of(name))
    tell_subscribed = subscribed if "SUBSCRIBED" in request.returns | request.selection else ()
    return [
        Entry(
            name,
            by_name.get(name),
            (
                *_attributes(
                    by_name.get(name), has_children=name in parents, extended=request.extended
                ),
                *(("\\Subscribed",) if name in tell_subscribed else ()),
            ),
            selected=name in selected,
            child_info=name in with_hidden,
        )
        for name in names
        if name in matched and (name in selected or name in with_hidden)
    ]


def lsub_entries(folders: Folders, request: ListRequest) -> list[Entry]:
    """Return what LSUB answers: subscribed folders, with `%` their parents as well."""
    subscribed = folders.subscribed
    by_name = {folder.name: folder for folder in folders.existing if folder.name in subscribed}
    (pattern,) = request.patterns
    # RFC 3501 6.3.9: a parent stands for its subscribed children, only when `%` ends the pattern.
    with_parents = pattern.endswith("%")
    names = _with_parents(subscribed) if with_parents else sorted(subscribed, key=_order)
    parents = {parent for name in names for parent in parents_of(name)}
    matches = Pattern(pattern)
    return [
        Entry(
            name,
            by_name.get(name),
            _attributes(by_name.get(name), has_children=name in parents),
        )
        for name in names
        if matches(name)
    ]


def selected_entry(folder: Folder, existing: Sequence[Folder], asked: str) -> Entry:
    """Return what SELECT lists (RFC 9051 6.3.2); `asked` is the name that the client gave."""
    has_children = any(other.name.startswith(folder.name + DELIMITER) for other in existing)
    attributes = _attributes(folder, has_children=has_children)
    return Entry(
        folder.name,
        folder,
        (*attributes, "\\Subscribed") if folder.subscribed else attributes,
        old_name=asked if asked != folder.name else None,
    )


def parents_of(name: str) -> list[str]:
    """Return the names above a folder, the highest first."""
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:count]) for count in range(1, len(levels))]


def _attributes(
    folder: Folder | None, *, has_children: bool, extended: bool = False
) -> tuple[str, ...]:
    attributes = ["\\HasChildren" if has_children else "\\HasNoChildren"]
    if folder is None:
        attributes.append("\\NonExistent" if extended else "\\Noselect")
        return tuple(attributes)
    if folder.special_use:
        attributes.append(folder.special_use)
    return tuple(attributes)


def _with_parents(known: Collection[str]) -> list[str]:
    implied = {parent for name in known for parent in parents_of(name)}
    return sorted({*known, *implied}, key=_order)


def _order(name: str) -> tuple[bool, str]:
    return name != INBOX, name


def _options(parser: Parser, known: frozenset[str]) -> frozenset[str]:
    parser.expect(b"(")
    options: set[str] = set()
    while not parser.accept(b")"):
        if options:
            parser.space()
        name = parser.keyword()
        if name not in known:
            raise SyntaxFaultError(f"LIST does not know {name}")
        options.add(name)
    return frozenset(options)


def _patterns(parser: Parser) -> tuple[str, ...]:
    parser.expect(b"(")
    patterns = [parser.list_mailbox()]
    while not parser.accept(b")"):
        parser.space()
        patterns.append(parser.list_mailbox())
        if len(patterns) > MAX_PATTERNS:
            raise SyntaxFaultError("too many patterns")
    return tuple(patterns)


def _returns(parser: Parser) -> tuple[frozenset[str], tuple[str, ...]]:
    parser.expect(b"(")
    options: set[str] = set()
    status: tuple[str, ...] = ()
    while not parser.accept(b")"):
        if options:
            parser.space()
        name = parser.keyword()
        if name not in RETURNS:
            raise SyntaxFaultError(f"LIST cannot return {name}")
        options.add(name)
        if name == "STATUS":
            parser.space()
            status = parse_status_items(parser)
    return frozenset(options), status

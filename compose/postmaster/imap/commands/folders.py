"""Folders: CREATE, DELETE, RENAME, SUBSCRIBE, LIST, LSUB, STATUS (RFC 3501 6.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from postmaster.imap import wire
from postmaster.imap.grammar import Parser
from postmaster.imap.listing import Pattern
from postmaster.imap.outcome import RefusedError, SyntaxFaultError
from postmaster.imap.registry import LOGGED_IN, Done, command
from postmaster.imap.session import Session
from postmaster.storage.interface import (
    DELIMITER,
    INBOX,
    Folder,
    FolderCounts,
    FolderExistsError,
    Mailbox,
    NoSuchFolderError,
)

MAX_LEVELS = 20
MAX_FOLDERS = 2000
STATUS_ITEMS = ("MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN")


@command("CREATE", LOGGED_IN)
async def create(session: Session, parser: Parser) -> Done:
    """Make a folder and those above it that are missing."""
    name = _only_name(parser).removesuffix(DELIMITER)
    _check_new_name(name)

    def work(box: Mailbox) -> None:
        levels = name.split(DELIMITER)
        existing = {folder.name for folder in box.folders()}
        if len(existing) + len(levels) > MAX_FOLDERS:
            raise RefusedError(f"there can be {MAX_FOLDERS} folders at most", "LIMIT")
        for count in range(1, len(levels)):
            parent = DELIMITER.join(levels[:count])
            if parent not in existing and parent.upper() != INBOX:
                box.create_folder(parent)
        box.create_folder(name)

    await _making(session, work)
    return Done("made")


@command("DELETE", LOGGED_IN)
async def delete(session: Session, parser: Parser) -> Done:
    """Remove a folder and its messages; folders below it stay."""
    name = _only_name(parser)
    if name.upper() == INBOX:
        raise RefusedError("INBOX cannot be deleted", "CANNOT")
    await session.run(lambda box: box.delete_folder(name))
    return Done("deleted")


@command("RENAME", LOGGED_IN)
async def rename(session: Session, parser: Parser) -> Done:
    """Rename a folder with those below it."""
    parser.space()
    old = parser.mailbox()
    new = _only_name(parser).removesuffix(DELIMITER)
    _check_new_name(new)
    if new.startswith(old + DELIMITER):
        raise RefusedError("a folder cannot go into itself", "CANNOT")
    await _making(session, lambda box: box.rename_folder(old, new))
    return Done("renamed")


@command("SUBSCRIBE", LOGGED_IN)
async def subscribe(session: Session, parser: Parser) -> Done:
    """Have a folder listed by LSUB."""
    name = _only_name(parser)
    await session.run(lambda box: box.subscribe(name, True))
    return Done("subscribed")


@command("UNSUBSCRIBE", LOGGED_IN)
async def unsubscribe(session: Session, parser: Parser) -> Done:
    """Have a folder listed by LSUB no more; one that is gone already is no error."""
    name = _only_name(parser)

    def work(box: Mailbox) -> None:
        try:
            box.subscribe(name, False)
        except NoSuchFolderError:
            return

    await session.run(work)
    return Done("not subscribed")


@command("LIST", LOGGED_IN)
async def list_folders(session: Session, parser: Parser) -> Done:
    """List the folders that match a pattern."""
    pattern = _reference_and_pattern(parser)
    if pattern == "":  # asks for the delimiter only
        await session.send([_line("LIST", ["\\Noselect"], "")])
        return Done("listed")
    folders = await session.run(lambda box: box.folders())
    await session.send(list_lines("LIST", folders, pattern))
    return Done("listed")


@command("LSUB", LOGGED_IN)
async def list_subscribed(session: Session, parser: Parser) -> Done:
    """List the subscribed folders that match a pattern."""
    pattern = _reference_and_pattern(parser)
    folders = await session.run(lambda box: box.folders())
    subscribed = [folder for folder in folders if folder.subscribed]
    await session.send(list_lines("LSUB", subscribed, pattern))
    return Done("listed")


@command("STATUS", LOGGED_IN)
async def status(session: Session, parser: Parser) -> Done:
    """Tell numbers of a folder without selecting it."""
    parser.space()
    name = parser.mailbox()
    parser.space()
    parser.expect(b"(")
    items = [parser.keyword()]
    while not parser.accept(b")"):
        parser.space()
        items.append(parser.keyword())
    parser.end()
    if unknown := set(items) - set(STATUS_ITEMS):
        raise SyntaxFaultError(f"STATUS does not know {sorted(unknown)[0]}")
    counts = await session.run(lambda box: box.counts(name))
    await session.send([_status_line(counts, list(dict.fromkeys(items)))])
    return Done("that is all")


def list_lines(kind: str, folders: Sequence[Folder], pattern: str) -> list[bytes]:
    """Return the LIST or LSUB responses for a pattern, implied parents as \\Noselect."""
    by_name = {folder.name: folder for folder in folders}
    implied = {parent for name in by_name for parent in _parents(name)} - by_name.keys()
    if kind == "LSUB" and not pattern.endswith("%"):  # RFC 3501 6.3.9
        implied = set()
    names = sorted({*by_name, *implied}, key=_order)
    parents = {parent for name in names for parent in _parents(name)}
    matches = Pattern(pattern)
    return [
        _line(kind, _attributes(by_name.get(name), has_children=name in parents), name)
        for name in names
        if matches(name)
    ]


def _attributes(folder: Folder | None, *, has_children: bool) -> list[str]:
    attributes = ["\\HasChildren" if has_children else "\\HasNoChildren"]
    if folder is None:
        attributes.append("\\Noselect")
    elif folder.special_use:
        attributes.append(folder.special_use)
    return attributes


def _line(kind: str, attributes: Sequence[str], name: str) -> bytes:
    return f'* {kind} ({" ".join(attributes)}) "{DELIMITER}" '.encode() + wire.folder(name)


def _status_line(counts: FolderCounts, items: Sequence[str]) -> bytes:
    values = {
        "MESSAGES": counts.messages,
        "RECENT": counts.recent,
        "UIDNEXT": counts.folder.uidnext,
        "UIDVALIDITY": counts.folder.uidvalidity,
        "UNSEEN": counts.unseen,
    }
    text = " ".join(f"{item} {values[item]}" for item in items)
    return b"* STATUS " + wire.folder(counts.folder.name) + f" ({text})".encode()


def _parents(name: str) -> list[str]:
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:count]) for count in range(1, len(levels))]


def _order(name: str) -> tuple[bool, str]:
    return name != INBOX, name


def _only_name(parser: Parser) -> str:
    parser.space()
    name = parser.mailbox()
    parser.end()
    return name


def _reference_and_pattern(parser: Parser) -> str:
    parser.space()
    reference = parser.mailbox()
    parser.space()
    pattern = parser.list_mailbox()
    parser.end()
    return reference + pattern if pattern else ""


def _check_new_name(name: str) -> None:
    levels = name.split(DELIMITER)
    if not all(levels) or len(levels) > MAX_LEVELS:
        raise RefusedError("a folder's name has no empty or too many levels", "CANNOT")
    if any(character in "*%" or not character.isprintable() for character in name):
        raise RefusedError("a folder's name has no wildcards and no control characters", "CANNOT")


async def _making(session: Session, work: Callable[[Mailbox], None]) -> None:
    try:
        await session.run(work)
    except FolderExistsError:
        raise RefusedError("there is such a folder already", "ALREADYEXISTS") from None

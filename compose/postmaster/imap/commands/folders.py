"""Folders: CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 3501 6.3)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import TypeVar

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import RefusedError
from postmaster.imap.registry import LOGGED_IN, Done, command
from postmaster.imap.session import Session
from postmaster.storage.interface import (
    DELIMITER,
    INBOX,
    Folder,
    FolderExistsError,
    Mailbox,
)

T = TypeVar("T")

MAX_LEVELS = 20
MAX_FOLDERS = 2000

# What CREATE may give a folder (RFC 6154); \\All and \\Flagged would be views of other folders.
SPECIAL_USES = ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")


@command("CREATE", LOGGED_IN)
async def create(session: Session, parser: Parser) -> Done:
    """Make a folder and those above it that are missing."""
    parser.space()
    name = parser.mailbox().removesuffix(DELIMITER)
    use = _special_use(parser) if parser.accept(b" (USE ") else None
    parser.end()
    _check_new_name(name, parser)

    def work(box: Mailbox) -> Folder:
        levels = name.split(DELIMITER)
        folders = box.folders()
        existing = {folder.name for folder in folders}
        if use is not None and any(folder.special_use == use for folder in folders):
            raise RefusedError(f"another folder is {use} already", "USEATTR")
        if len(existing) + len(levels) > MAX_FOLDERS:
            raise RefusedError(f"there can be {MAX_FOLDERS} folders at most", "LIMIT")
        for count in range(1, len(levels)):
            parent = DELIMITER.join(levels[:count])
            if parent not in existing and parent.upper() != INBOX:
                box.create_folder(parent)
        return box.create_folder(name, use)

    folder = await _making(session, work)
    return Done("made", f"MAILBOXID ({folder.mailbox_id})")  # RFC 8474 4.1


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
    _check_new_name(new, parser)
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
    await session.run(lambda box: box.subscribe(name, False))
    return Done("not subscribed")


def _only_name(parser: Parser) -> str:
    parser.space()
    name = parser.mailbox()
    parser.end()
    return name


def _special_use(parser: Parser) -> str | None:
    """Read what follows `(USE ` (RFC 6154 3): one use at most, of those that there are."""
    parser.expect(b"(")
    uses: list[str] = []
    while not parser.accept(b")"):
        if uses:
            parser.space()
        parser.expect(b"\\")
        uses.append("\\" + parser.atom().capitalize())
    parser.expect(b")")
    if len(uses) > 1 or not set(uses) <= set(SPECIAL_USES):
        raise RefusedError("a folder has one of the uses " + " ".join(SPECIAL_USES), "USEATTR")
    return uses[0] if uses else None


def _check_new_name(name: str, parser: Parser) -> None:
    levels = name.split(DELIMITER)
    if not all(levels) or len(levels) > MAX_LEVELS:
        raise RefusedError("a folder's name has no empty or too many levels", "CANNOT")
    if any(character in "*%" or not character.isprintable() for character in name):
        raise RefusedError("a folder's name has no wildcards and no control characters", "CANNOT")
    # RFC 9051 5.1; modified UTF-7 is kept as it was given (RFC 3501 5.1.3).
    if parser.utf8 and not unicodedata.is_normalized("NFC", name):
        raise RefusedError("a folder's name is in Unicode's form NFC", "CANNOT")


async def _making(session: Session, work: Callable[[Mailbox], T]) -> T:
    try:
        return await session.run(work)
    except FolderExistsError:
        raise RefusedError("there is such a folder already", "ALREADYEXISTS") from None

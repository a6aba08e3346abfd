"""APPEND (RFC 3501 6.3.11), with APPENDUID (RFC 4315)."""

from __future__ import annotations

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import RefusedError
from postmaster.imap.registry import LOGGED_IN, Done, command
from postmaster.imap.session import Session
from postmaster.storage.interface import NewMessage, arrival_time


@command("APPEND", LOGGED_IN)
async def append(session: Session, parser: Parser) -> Done:
    """Put a message into a folder; it is on disk before the OK."""
    parser.space()
    name = parser.mailbox()
    parser.space()
    flags: frozenset[str] = frozenset()
    if parser.peek(b"("):
        flags = parser.flag_list()
        parser.space()
    date = arrival_time()
    if parser.peek(b'"'):
        date = parser.date_time()
        parser.space()
    raw = parser.string()
    parser.end()
    if not raw:
        raise RefusedError("the message is empty")
    if len(raw) > session.services.message_size_limit:
        raise RefusedError("the message is too large", "TOOBIG")
    message = NewMessage(raw, flags, date)
    folder, uid = await session.run_into(lambda box: box.append(name, message))
    return Done("kept", f"APPENDUID {folder.uidvalidity} {uid}")

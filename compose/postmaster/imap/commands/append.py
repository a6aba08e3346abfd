"""APPEND (RFC 3501 6.3.11), with APPENDUID (RFC 4315), MULTIAPPEND (RFC 3502), BINARY (RFC 3516).

All messages of one command together are at most as large as one may be: they are in memory.
"""

from __future__ import annotations

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import RefusedError
from postmaster.imap.registry import LOGGED_IN, Done, command
from postmaster.imap.sequence import format_sequence_set
from postmaster.imap.session import Session
from postmaster.message.transfer import without_binary_parts
from postmaster.storage.interface import NewMessage, arrival_time


@command("APPEND", LOGGED_IN)
async def append(session: Session, parser: Parser) -> Done:
    """Put messages into a folder, all or none; they are on disk before the OK."""
    parser.space()
    name = parser.mailbox()
    messages = [_message(parser)]
    while not parser.at_end:
        messages.append(_message(parser))
    if not all(message.raw for message in messages):
        raise RefusedError("the message is empty")
    if sum(len(message.raw) for message in messages) > session.services.message_size_limit:
        raise RefusedError("the message is too large", "TOOBIG")
    folder, uids = await session.run_into(lambda box: box.append_all(name, messages))
    session.teach(None, folder, uids)
    return Done("kept", f"APPENDUID {folder.uidvalidity} {format_sequence_set(uids)}")


def _message(parser: Parser) -> NewMessage:
    """Read a space, maybe flags and a date, and the bytes."""
    parser.space()
    flags: frozenset[str] = frozenset()
    if parser.peek(b"("):
        flags = parser.flag_list()
        parser.space()
    date = arrival_time()
    if parser.peek(b'"'):
        date = parser.date_time()
        parser.space()
    if parser.utf8 and parser.accept(b"UTF8 ("):  # RFC 6855 4, which RFC 9755 left out
        raw = parser.literal(binary=True)
        parser.expect(b")")
    elif parser.peek(b"~"):
        raw = without_binary_parts(parser.literal(binary=True))
    else:
        raw = parser.string()
    return NewMessage(raw, flags, date)

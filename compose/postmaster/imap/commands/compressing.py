"""COMPRESS (RFC 4978): from the answer on, both sides compress what they send."""

from __future__ import annotations

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import RefusedError, SyntaxFaultError
from postmaster.imap.registry import LOGGED_IN, Done, News, command
from postmaster.imap.session import Session


# Without news: were the vault not available for these, NO would be said and yet be compressed after.
@command("COMPRESS", LOGGED_IN, News.NONE)
async def compress(session: Session, parser: Parser) -> Done:
    """Compress the connection."""
    parser.space()
    if parser.keyword() != "DEFLATE":
        raise SyntaxFaultError("COMPRESS knows DEFLATE only")
    parser.end()
    if not session.channel.compress():
        raise RefusedError("it is compressed already", "COMPRESSIONACTIVE")
    return Done("compressed from now on")

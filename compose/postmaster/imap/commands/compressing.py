"""COMPRESS (RFC 4978): from the answer on, both sides compress what they send."""

from __future__ import annotations

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import RefusedError, SyntaxFaultError
from postmaster.imap.registry import LOGGED_IN, Done, News, command
from postmaster.imap.session import Session


# Were the vault not available for news, NO would be said, and all after it be compressed.
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

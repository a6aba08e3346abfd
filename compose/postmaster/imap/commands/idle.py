"""IDLE (RFC 2177): the client waits, and is told what happens as it happens."""

from __future__ import annotations

from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import GoodbyeError, SyntaxFaultError
from postmaster.imap.registry import LOGGED_IN, Done, command
from postmaster.imap.session import Session


@command("IDLE", LOGGED_IN)
async def idle(session: Session, parser: Parser) -> Done:
    """Tell news of the selected folder until the client says DONE."""
    parser.end()

    async def news() -> None:
        await session.tell_news(expunge=True)

    await session.channel.send(b"+ idling")
    line = await session.channel.listen(news, session.mailbox)
    if line is None:
        raise GoodbyeError("idle for too long")
    if line.upper() != b"DONE":
        raise SyntaxFaultError("IDLE ends with DONE")
    return Done("no more idling")

"""Commands of every state (RFC 3501 6.1); ID (RFC 2971), ENABLE (5161), NAMESPACE (2342)."""

from __future__ import annotations

from postmaster import __version__
from postmaster.imap import wire
from postmaster.imap.capability import CONDSTORE, ENABLEABLE, QRESYNC, capability_text
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import SyntaxFaultError
from postmaster.imap.registry import ANY, LOGGED_IN, Done, News, State, command
from postmaster.imap.session import Session
from postmaster.storage.interface import DELIMITER

MAX_ID_FIELDS = 30  # RFC 2971 3.3


@command("CAPABILITY", ANY)
async def capability(session: Session, parser: Parser) -> Done:
    """Tell what the server can do."""
    parser.end()
    await session.send([f"* {capability_text(session.services.message_size_limit)}".encode()])
    return Done("that is all")


@command("NOOP", ANY)
async def noop(_session: Session, parser: Parser) -> Done:
    """Do nothing; the news of the folder come with the answer."""
    parser.end()
    return Done("nothing done")


@command("CHECK", State.SELECTED)
async def check(_session: Session, parser: Parser) -> Done:
    """Do nothing: every change is on disk before it is answered."""
    parser.end()
    return Done("everything is on disk")


@command("LOGOUT", ANY, News.NONE)  # nothing comes after BYE
async def logout(session: Session, parser: Parser) -> Done:
    """Say goodbye."""
    parser.end()
    session.leaving = True
    await session.send([b"* BYE until next time"])
    return Done("bye")


@command("ID", ANY)
async def identify(session: Session, parser: Parser) -> Done:
    """Exchange names; the client's is not kept."""
    parser.space()
    if parser.accept(b"("):
        count = 0
        while not parser.accept(b")"):
            if count:
                parser.space()
            parser.string()
            parser.space()
            parser.nstring()
            count += 1
            if count > MAX_ID_FIELDS:
                raise SyntaxFaultError("too many fields")
    elif parser.nstring() is not None:
        raise SyntaxFaultError("expected a list or NIL")
    parser.end()
    fields = (b"name", b"Mailstead", b"version", __version__.encode())
    await session.send([b"* ID " + wire.parenthesised(map(wire.string, fields))])
    return Done("pleased to meet you")


@command("ENABLE", LOGGED_IN)
async def enable(session: Session, parser: Parser) -> Done:
    """Enable extensions; those that are unknown, or need no enabling, are passed over."""
    parser.space()
    wanted = [parser.keyword()]
    while parser.accept(b" "):
        wanted.append(parser.keyword())
    parser.end()
    new = [name for name in ENABLEABLE if name.upper() in wanted and name not in session.enabled]
    await session.send([" ".join(["* ENABLED", *new]).encode()])
    if CONDSTORE in new or QRESYNC in new:  # the latter brings the former (RFC 7162 3.2.3)
        await session.enable_condstore()
    session.enabled.update(new)
    if session.view is not None:
        session.view.qresync = QRESYNC in session.enabled
        session.view.rev2 = session.rev2
    return Done("as far as known")


@command("NAMESPACE", LOGGED_IN)
async def namespace(session: Session, parser: Parser) -> Done:
    """Tell that all folders are personal."""
    parser.end()
    await session.send([f'* NAMESPACE (("" "{DELIMITER}")) NIL NIL'.encode()])
    return Done("there is one")

"""LOGIN (RFC 3501 6.2.3) and AUTHENTICATE PLAIN (RFC 4616, RFC 4959)."""

from __future__ import annotations

from postmaster.clients import MAX_FAILED_LOGINS, LoginProblem, judge_login
from postmaster.imap.capability import capability_text
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import GoodbyeError, RefusedError, SyntaxFaultError
from postmaster.imap.registry import Done, State, command
from postmaster.imap.session import Session
from postmaster.sasl import MalformedResponseError, decode_plain

LOGIN_CODES = {  # RFC 5530 3
    LoginProblem.WRONG: "AUTHENTICATIONFAILED",
    LoginProblem.LIMITED: "LIMIT",
    LoginProblem.UNAVAILABLE: "UNAVAILABLE",
}


@command("LOGIN", State.NOT_AUTHENTICATED)
async def login(session: Session, parser: Parser) -> Done:
    """Log in with name and password."""
    parser.space()
    name = parser.text()
    parser.space()
    password = parser.text()
    parser.end()
    return await _log_in(session, name, password)


@command("AUTHENTICATE", State.NOT_AUTHENTICATED)
async def authenticate(session: Session, parser: Parser) -> Done:
    """Log in with SASL PLAIN; the response comes with the command or after a continuation."""
    parser.space()
    mechanism = parser.keyword()
    initial: bytes | None = None
    if parser.accept(b" "):
        # "=" is an empty response (RFC 4959 3), which PLAIN then refuses.
        initial = b"" if parser.accept(b"=") and parser.at_end else parser.astring()
    parser.end()
    if mechanism != "PLAIN":
        raise RefusedError("unsupported mechanism", "CANNOT")
    response = await session.channel.ask(b"") if initial is None else initial
    if response is None:
        raise GoodbyeError("the login was broken off")
    if response == b"*":
        raise SyntaxFaultError("the login was cancelled")
    try:
        credentials = decode_plain(response)
    except MalformedResponseError as error:
        raise SyntaxFaultError(str(error)) from None
    if credentials.for_somebody_else:
        raise RefusedError("nobody may log in as somebody else", "AUTHORIZATIONFAILED")
    return await _log_in(session, credentials.name, credentials.password)


async def _log_in(session: Session, name: str, password: str) -> Done:
    judged = await judge_login(session.services, name, password, session.channel.address, "imap")
    if isinstance(judged, str):
        await session.log_in(judged)
        return Done("welcome", capability_text(session.services.message_size_limit))
    session.failed_logins += 1
    if session.failed_logins >= MAX_FAILED_LOGINS:
        raise GoodbyeError("too many failed logins")
    raise RefusedError(judged.value, LOGIN_CODES[judged])

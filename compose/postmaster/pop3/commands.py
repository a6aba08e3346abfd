"""The commands of RFC 1939, CAPA (RFC 2449) and AUTH (RFC 5034), found by their names.

Each takes the arguments as they stand behind the name, and returns the text behind `+OK`, or ends
with RefusedError. What an answer has beyond its first line it sends itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from postmaster import __version__
from postmaster.clients import MAX_FAILED_LOGINS, LoginProblem, judge_login
from postmaster.pop3.maildrop import Entry
from postmaster.pop3.session import GoodbyeError, Handler, RefusedError, Session
from postmaster.pop3.wire import END, message_lines
from postmaster.sasl import MalformedResponseError, decode_plain

CAPABILITIES = (
    "TOP",
    "UIDL",
    "USER",
    "SASL PLAIN",
    "RESP-CODES",
    "AUTH-RESP-CODE",  # RFC 3206
    "PIPELINING",
    "EXPIRE NEVER",
    f"IMPLEMENTATION Mailstead-{__version__}",
)
LOGIN_CODES = {  # RFC 3206, RFC 2449 8.1.1
    LoginProblem.WRONG: "AUTH",
    LoginProblem.LIMITED: "LOGIN-DELAY",
    LoginProblem.UNAVAILABLE: "SYS/TEMP",
}
MAX_TOP_LINES = 10_000_000
COPIES_OF_A_MESSAGE = 3  # in memory, at most, while one is sent


@dataclass(frozen=True)
class Command:
    """A command, and whether it wants somebody logged in (None: does not matter)."""

    handler: Handler
    logged_in: bool | None


_commands: dict[bytes, Command] = {}


def find(name: bytes) -> Command | None:
    """Return the command of an upper-case name."""
    return _commands.get(name)


def _command(name: bytes, *, logged_in: bool | None) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        _commands[name] = Command(handler, logged_in)
        return handler

    return register


# Logging in


@_command(b"CAPA", logged_in=None)
async def capa(session: Session, arguments: bytes) -> str:
    """Tell what the server can do."""
    _none(arguments)
    lines = "".join(f"{line}\r\n" for line in ("+OK this is all", *CAPABILITIES)).encode()
    await session.channel.stream([lines, END])
    return ""


@_command(b"USER", logged_in=False)
async def user(session: Session, arguments: bytes) -> str:
    """Take the name of a login; it says nothing about whether there is such a person."""
    if not arguments:
        raise RefusedError("expected a name")
    session.user = _text(arguments)
    return "and the password?"


@_command(b"PASS", logged_in=False)
async def password(session: Session, arguments: bytes) -> str:
    """Log in; a password may have spaces in it."""
    name, session.user = session.user, None
    if name is None:
        raise RefusedError("the name comes first")
    return await _log_in(session, name, _text(arguments))


@_command(b"AUTH", logged_in=False)
async def auth(session: Session, arguments: bytes) -> str:
    """Log in with SASL PLAIN; the response comes with the command or after a continuation."""
    mechanism, _, initial = arguments.partition(b" ")
    if mechanism.upper() != b"PLAIN":
        raise RefusedError("the mechanism is PLAIN")
    # "=" is an empty response (RFC 5034 4), which PLAIN then refuses.
    response = initial.replace(b"=", b"") if initial == b"=" else initial
    if not initial:
        line = await session.channel.ask(b"")
        if line is None:
            raise GoodbyeError("the login was broken off")
        response = line
    if response == b"*":
        raise RefusedError("the login was cancelled")
    try:
        credentials = decode_plain(response)
    except MalformedResponseError as error:
        raise RefusedError(str(error)) from None
    if credentials.for_somebody_else:
        raise RefusedError("nobody may log in as somebody else", "AUTH")
    return await _log_in(session, credentials.name, credentials.password)


async def _log_in(session: Session, name: str, password: str) -> str:
    judged = await judge_login(session.services, name, password, session.channel.address, "pop3")
    if isinstance(judged, str):
        await session.log_in(judged)
        return f"{len(session.drop.messages)} messages"
    session.failed_logins += 1
    ending = GoodbyeError if session.failed_logins >= MAX_FAILED_LOGINS else RefusedError
    raise ending(judged.value, LOGIN_CODES[judged])


# The maildrop


@_command(b"STAT", logged_in=True)
async def stat(session: Session, arguments: bytes) -> str:
    """Tell how many messages there are, and how large they are together."""
    _none(arguments)
    sizes = [message.size for _, message in session.drop.left()]
    return f"{len(sizes)} {sum(sizes)}"


@_command(b"LIST", logged_in=True)
async def list_sizes(session: Session, arguments: bytes) -> str:
    """Tell the sizes, in bytes as received."""
    return await _tell(session, arguments, lambda message: str(message.size))


@_command(b"UIDL", logged_in=True)
async def unique_ids(session: Session, arguments: bytes) -> str:
    """Tell the ids that stay the same over sessions."""
    return await _tell(session, arguments, session.drop.unique_id)


@_command(b"RETR", logged_in=True)
async def retrieve(session: Session, arguments: bytes) -> str:
    """Send a message."""
    (number,) = _numbers(arguments, 1)
    await _send_message(session, number, None)
    session.drop.retrieved.add(number)
    return ""


@_command(b"TOP", logged_in=True)
async def top(session: Session, arguments: bytes) -> str:
    """Send the header and some lines of the body."""
    number, lines = _numbers(arguments, 2)
    await _send_message(session, number, min(lines, MAX_TOP_LINES))
    return ""


@_command(b"DELE", logged_in=True)
async def delete(session: Session, arguments: bytes) -> str:
    """Mark a message as deleted; it goes at QUIT."""
    (number,) = _numbers(arguments, 1)
    _message(session, number)
    session.drop.deleted.add(number)
    return "it goes at the end"


@_command(b"RSET", logged_in=True)
async def reset(session: Session, arguments: bytes) -> str:
    """Unmark what is marked as deleted."""
    _none(arguments)
    session.drop.deleted.clear()
    return "nothing is deleted"


@_command(b"NOOP", logged_in=True)
async def noop(_session: Session, arguments: bytes) -> str:
    """Do nothing."""
    _none(arguments)
    return "nothing done"


@_command(b"QUIT", logged_in=None)
async def leave(session: Session, arguments: bytes) -> str:
    """Remove what is marked as deleted, and say goodbye."""
    _none(arguments)
    session.leaving = True
    if session.in_transaction:
        await session.run(session.drop.update)
    return "bye"


# What they share


async def _tell(session: Session, arguments: bytes, what: Callable[[Entry], str]) -> str:
    if arguments:
        (number,) = _numbers(arguments, 1)
        return f"{number} {what(_message(session, number))}"

    def lines() -> Iterator[bytes]:
        yield b"+OK\r\n"
        for number, message in session.drop.left():
            yield f"{number} {what(message)}\r\n".encode()
        yield END

    await session.channel.stream(lines())
    return ""


async def _send_message(session: Session, number: int, lines: int | None) -> None:
    message = _message(session, number)
    async with session.holding(message.size * COPIES_OF_A_MESSAGE):
        content = await session.run(lambda box: session.drop.read(box, number))
        if content is None:
            raise RefusedError("the message is gone meanwhile")
        await session.channel.stream([b"+OK here it comes\r\n"])
        await session.channel.stream(message_lines(content.header, content.body or b"", lines))


def _message(session: Session, number: int) -> Entry:
    message = session.drop.message(number)
    if message is None:
        raise RefusedError("there is no such message")
    return message


def _numbers(arguments: bytes, count: int) -> list[int]:
    words = arguments.split(b" ")
    if len(words) != count or not all(word.isdigit() and len(word) <= 10 for word in words):
        raise RefusedError("expected a number" if count == 1 else f"expected {count} numbers")
    return [int(word) for word in words]


def _none(arguments: bytes) -> None:
    if arguments:
        raise RefusedError("too many arguments")


def _text(arguments: bytes) -> str:
    try:
        return arguments.decode()
    except UnicodeDecodeError:
        raise RefusedError("expected UTF-8") from None

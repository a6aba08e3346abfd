"""Commands found by their name; a module in `commands` adds one with `@command(…)`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import TYPE_CHECKING

from postmaster.imap.grammar import Parser

if TYPE_CHECKING:
    from postmaster.imap.session import Session


class State(Flag):
    """The states of a connection (RFC 3501 3)."""

    NOT_AUTHENTICATED = auto()
    AUTHENTICATED = auto()
    SELECTED = auto()


ANY = State.NOT_AUTHENTICATED | State.AUTHENTICATED | State.SELECTED
LOGGED_IN = State.AUTHENTICATED | State.SELECTED


class News(Enum):
    """What the client may be told of the selected folder before the command is answered."""

    NONE = "none"
    NO_EXPUNGE = "no expunge"  # the command used sequence numbers (RFC 3501 7.4.1)
    ALL = "all"


@dataclass(frozen=True)
class Done:
    """The text and response code of a command's OK."""

    text: str
    code: str = ""
    used_numbers: bool = False  # also where the command's name tells of UIDs; see News.NO_EXPUNGE


Handler = Callable[["Session", Parser], Awaitable[Done]]


@dataclass(frozen=True)
class Command:
    """A command: when it is allowed, what may be told with it, and what it does."""

    name: str
    states: State
    news: News
    handler: Handler


_commands: dict[str, Command] = {}


def command(name: str, states: State, news: News = News.ALL) -> Callable[[Handler], Handler]:
    """Register a function for a name such as `FETCH` or `UID FETCH`; for use at import only."""

    def register(handler: Handler) -> Handler:
        if name in _commands:
            raise ValueError(f"{name} is registered twice")
        _commands[name] = Command(name, states, news, handler)
        return handler

    return register


def find(name: str) -> Command | None:
    """Return the command of an upper-case name."""
    return _commands.get(name)

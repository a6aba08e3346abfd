"""What one POP3 connection knows and may do, and how a command can end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from postmaster.pop3.maildrop import Maildrop, open_maildrop
from postmaster.services import Services
from postmaster.storage.interface import Mailbox, OpenMailbox

T = TypeVar("T")


class RefusedError(Exception):
    """-ERR, with a response code (RFC 2449 8, RFC 3206) or without."""

    def __init__(self, text: str, code: str = "") -> None:
        """`code` is what stands in the brackets, without them."""
        super().__init__(f"[{code}] {text}" if code else text)


class GoodbyeError(RefusedError):
    """-ERR, and the connection cannot go on."""


class Channel(Protocol):
    """The connection, as far as commands need it."""

    address: str  # of the client

    async def stream(self, pieces: Iterable[bytes]) -> None:
        """Send pieces of an answer; waits while the client is slow."""

    async def ask(self, prompt: bytes) -> bytes | None:
        """Send a continuation request and return the line that comes; None when none does."""


@dataclass
class Session:
    """The one mutable thing of a connection. TRANSACTION state is when there is a maildrop."""

    services: Services
    channel: Channel
    user: str | None = None  # of USER, until PASS
    person: str | None = None
    failed_logins: int = 0
    leaving: bool = False
    _drop: Maildrop | None = None
    _mailbox: OpenMailbox | None = None
    _resources: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def in_transaction(self) -> bool:
        """Say whether somebody is logged in."""
        return self._drop is not None

    @property
    def drop(self) -> Maildrop:
        """The maildrop; only for commands that need a login."""
        if self._drop is None:
            raise RefusedError("log in first")
        return self._drop

    async def log_in(self, person: str) -> None:
        """Become a person. Raises StorageUnavailableError when the vault does not open."""
        async with AsyncExitStack() as resources:
            if not resources.enter_context(self.services.people.admit(person)):
                raise RefusedError("there are too many sessions, close some", "IN-USE")
            opening = self.services.store.open(person)
            mailbox = await resources.enter_async_context(opening)
            self._drop = await mailbox.run(open_maildrop)
            self._mailbox, self.person = mailbox, person
            self._resources = resources.pop_all()

    async def run(self, work: Callable[[Mailbox], T]) -> T:
        """Run `work` on the mailbox."""
        if self._mailbox is None:
            raise RefusedError("log in first")
        return await self._mailbox.run(work)

    @asynccontextmanager
    async def holding(self, size: int) -> AsyncIterator[None]:
        """Hold memory while the context lasts; there may be none for now."""
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.services.memory.hold(self.person or "", size))
            except TimeoutError:
                raise RefusedError("the server is busy, try again later", "SYS/TEMP") from None
            yield

    async def close(self) -> None:
        """Let go of the mailbox; without QUIT nothing in it has changed."""
        self._drop = None
        self._mailbox = None
        await self._resources.aclose()


Handler = Callable[[Session, bytes], Awaitable[str]]

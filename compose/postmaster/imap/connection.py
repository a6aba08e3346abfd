"""One connection: commands in, answers out, until somebody leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from postmaster.clients import MAX_FAULTS, ClientConnection, Timeouts
from postmaster.errors import StorageUnavailableError
from postmaster.imap import commands
from postmaster.imap.capability import capability_text
from postmaster.imap.deflate import Deflater
from postmaster.imap.grammar import Parser
from postmaster.imap.outcome import GoodbyeError, RefusedError, SyntaxFaultError
from postmaster.imap.reader import CommandReader, ReadLimits, RefusedLiteral
from postmaster.imap.registry import Done, News, State, find
from postmaster.imap.session import Session
from postmaster.services import Services
from postmaster.serving import place
from postmaster.storage.interface import OpenMailbox

logger = logging.getLogger(__name__)

__all__ = ["TIMEOUTS", "Connection", "commands"]

COMMAND_BYTES_BEFORE_LOGIN = 8 * 1024
COMMAND_BYTES = 256 * 1024
DISCARD_BEFORE_LOGIN = 1024 * 1024
DISCARD = 1024 * 1024 * 1024
COPIES_OF_A_LITERAL = 4  # that there are at most while a message is read, taken apart and written
_BEFORE_LOGIN = ReadLimits(
    COMMAND_BYTES_BEFORE_LOGIN, COMMAND_BYTES_BEFORE_LOGIN, DISCARD_BEFORE_LOGIN
)


TIMEOUTS = Timeouts(60.0, 30 * 60.0)  # RFC 3501 5.4: at least 30 minutes


class Connection(ClientConnection):
    """Serves one client; the `Channel` of its session."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        services: Services,
        timeouts: Timeouts,
    ) -> None:
        super().__init__(writer, timeouts)
        self._reader = CommandReader(reader, self._go_on, self._reserve)
        self._session = Session(services, self)
        self._deflater: Deflater | None = None
        self._compresses = False  # from the next answer on
        self._faults = 0
        self._held = AsyncExitStack()  # memory for the command under way

    async def serve(self) -> None:
        """Talk until the client leaves or has to."""
        try:
            limit = self._session.services.message_size_limit
            await self.send(f"* OK [{capability_text(limit)}] Mailstead".encode())
            while not self._session.leaving and await self._one_command():
                pass
        except GoodbyeError as goodbye:
            await self.send(f"* BYE {goodbye}".encode())
        except TimeoutError:
            with contextlib.suppress(OSError, TimeoutError):
                await self.send(b"* BYE idle for too long")
        finally:
            await self._session.close()

    # Channel

    async def send(self, *responses: bytes) -> None:
        """See `Channel.send`."""
        await self.stream(piece for response in responses for piece in (response, b"\r\n"))

    async def ask(self, prompt: bytes) -> bytes | None:
        """See `Channel.ask`."""
        await self.send(b"+ " + prompt)
        async with asyncio.timeout(self._patience):
            return await self._reader.line()

    def compress(self) -> bool:
        """See `Channel.compress`."""
        if self._compresses:
            return False
        self._compresses = True
        return True

    async def listen(self, news: Callable[[], Awaitable[None]], wake: OpenMailbox) -> bytes | None:
        """See `Channel.listen`."""
        changed = asyncio.Event()
        changed.set()  # what happened before it listened is news too
        wake.watch(changed.set)
        line = asyncio.ensure_future(self._reader.line())
        try:
            async with asyncio.timeout(self._patience):
                while not line.done():
                    woken = asyncio.ensure_future(changed.wait())
                    try:
                        await asyncio.wait({line, woken}, return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        woken.cancel()
                    if changed.is_set() and not line.done():
                        changed.clear()
                        await news()
                return line.result()
        finally:
            wake.unwatch(changed.set)
            line.cancel()

    # Commands

    @property
    def _patience(self) -> float:
        before = self._session.state is State.NOT_AUTHENTICATED
        return self.timeouts.before_login if before else self.timeouts.after_login

    async def _go_on(self) -> None:
        await self.send(b"+ go on")
        self.expect_pieces()

    async def _reserve(self, size: int) -> bool:
        memory = self._session.services.memory
        person = self._session.person or self.address
        try:
            await self._held.enter_async_context(memory.hold(person, size * COPIES_OF_A_LITERAL))
        except TimeoutError:
            return False
        return True

    async def _one_command(self) -> bool:
        try:
            return await self._read_and_answer()
        finally:
            await self._held.aclose()

    async def _read_and_answer(self) -> bool:
        """Read and answer one command; False when the client has gone."""
        if self._session.state is State.NOT_AUTHENTICATED:
            limits = _BEFORE_LOGIN
        else:
            limits = ReadLimits(COMMAND_BYTES, self._session.services.message_size_limit, DISCARD)
        async with asyncio.timeout(self._patience):
            received = await self._reader.command(limits)
        if received is None:
            return False
        line = received.line if isinstance(received, RefusedLiteral) else received
        parser = Parser(line, utf8=self._session.utf8)
        tag = "*"
        try:
            tag = parser.tag()
            self._session.tag = tag
            parser.space()
            if isinstance(received, RefusedLiteral):
                raise _refusal(received)
            answer = await self._answer(parser)
            self._faults = 0
        except SyntaxFaultError as fault:
            answer = f"BAD {fault}"
            self._faults += 1
            if self._faults >= MAX_FAULTS:
                raise GoodbyeError("too many bad commands") from None
        except RefusedError as refused:
            answer = _response("NO", refused.text, refused.code)
        except StorageUnavailableError:
            answer = "NO [UNAVAILABLE] the mailbox is not available, try again later"
        except (OSError, GoodbyeError):  # TimeoutError is an OSError
            raise
        except Exception as error:
            logger.error("failure service=imap kind=%s %s", type(error).__name__, place(error))
            answer = "NO [SERVERBUG] internal error"
        await self.send(f"{tag} {answer}".encode("ascii", "replace"))
        if self._compresses and self._deflater is None:
            self._deflater = Deflater()
            self._reader.inflate()
        return True

    async def _flush(self, waiting: bytearray) -> None:
        if self._deflater is not None and waiting:
            waiting[:] = self._deflater.pack(waiting)
        await super()._flush(waiting)

    async def _answer(self, parser: Parser) -> str:
        name = parser.keyword()
        if name == "UID":
            parser.space()
            name = f"UID {parser.keyword()}"
        command = find(name)
        if command is None:
            raise SyntaxFaultError("unknown command")
        if self._session.state not in command.states:
            raise SyntaxFaultError("not in this state")
        try:
            done: Done = await command.handler(self._session, parser)
        except (RefusedError, SyntaxFaultError):
            await self._tell_news(command.news)
            raise
        await self._tell_news(News.NO_EXPUNGE if done.used_numbers else command.news)
        return _response("OK", done.text, done.code)

    async def _tell_news(self, news: News) -> None:
        if news is not News.NONE:
            await self._session.tell_news(expunge=news is News.ALL)


def _refusal(literal: RefusedLiteral) -> RefusedError:
    if literal.busy:
        return RefusedError("the server is busy, try again later", "UNAVAILABLE")
    return RefusedError("the literal is too large", "TOOBIG")


def _response(status: str, text: str, code: str) -> str:
    return f"{status} [{code}] {text}" if code else f"{status} {text}"

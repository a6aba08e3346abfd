"""One POP3 connection: commands in, answers out, until somebody leaves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from postmaster.clients import MAX_FAULTS, ClientConnection, Timeouts
from postmaster.errors import StorageUnavailableError
from postmaster.pop3.commands import find
from postmaster.pop3.session import GoodbyeError, RefusedError, Session
from postmaster.services import Services
from postmaster.serving import place

logger = logging.getLogger(__name__)

LINE_LIMIT = 8 * 1024  # bytes; RFC 5034 4 wants room for long responses


TIMEOUTS = Timeouts(60.0, 10 * 60.0)  # RFC 1939 3: at least 10 minutes


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
        self._reader = reader
        self._session = Session(services, self)
        self._faults = 0

    async def serve(self) -> None:
        """Talk until the client leaves or has to."""
        try:
            await self.stream([b"+OK Mailstead\r\n"])
            while not self._session.leaving and await self._one_command():
                pass
        except GoodbyeError as goodbye:
            await self.stream([f"-ERR {goodbye}\r\n".encode()])
        except TimeoutError:
            with contextlib.suppress(OSError, TimeoutError):
                await self.stream([b"-ERR silent for too long\r\n"])
        finally:
            await self._session.close()

    # Channel

    async def ask(self, prompt: bytes) -> bytes | None:
        """See `Channel.ask`."""
        await self.stream([b"+ " + prompt + b"\r\n"])
        return await self._line()

    # Commands

    async def _line(self) -> bytes | None:
        """Return one line without its end; None when the client has gone."""
        before = not self._session.in_transaction
        patience = self.timeouts.before_login if before else self.timeouts.after_login
        try:
            async with asyncio.timeout(patience):
                line = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            raise GoodbyeError("the line is too long") from None
        return line[:-1].removesuffix(b"\r")

    async def _one_command(self) -> bool:
        """Read and answer one command; False when the client has gone."""
        line = await self._line()
        if line is None:
            return False
        try:
            text = await self._answer(line)
            answer = f"+OK {text}\r\n" if text else ""
            self._faults = 0
        except GoodbyeError:
            raise
        except RefusedError as refused:
            answer = f"-ERR {refused}\r\n"
            self._faults += 1
            if self._faults >= MAX_FAULTS:
                raise GoodbyeError("too many bad commands") from None
        except StorageUnavailableError:
            answer = "-ERR [SYS/TEMP] the mailbox is not available, try again later\r\n"
        except OSError:  # of the connection; TimeoutError is one
            raise
        except Exception as error:
            logger.error("failure service=pop3 kind=%s %s", type(error).__name__, place(error))
            answer = "-ERR [SYS/TEMP] internal error\r\n"
        await self.stream([answer.encode("ascii", "replace")])
        return True

    async def _answer(self, line: bytes) -> str:
        name, _, arguments = line.partition(b" ")
        command = find(name.upper())
        if command is None:
            raise RefusedError("unknown command")
        if command.logged_in is not None and command.logged_in != self._session.in_transaction:
            raise RefusedError("not in this state")
        return await command.handler(self._session, arguments)


def pop3_handler(
    services: Services, timeouts: Timeouts = TIMEOUTS
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return the connection handler of a POP3 server."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(reader, writer, services, timeouts).serve()

    return handle

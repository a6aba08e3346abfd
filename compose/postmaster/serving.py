"""What every server of this package shares: listening, limits on connections, an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from postmaster.errors import StartError
from postmaster.logs import event, warn

logger = logging.getLogger(__name__)

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

TLS_HANDSHAKE_SECONDS = 15.0
CLOSE_SECONDS = 2.0
LINE_LIMIT = 64 * 1024  # bytes
WRITE_SECONDS = 60.0  # a client that does not take its answer for so long is gone


@dataclass
class ConnectionLimits:
    """How many connections are served at once, in total and for one client address.

    Sessions of a person are counted the same way, by the person's address.
    """

    total: int = 1024
    per_address: int = 256
    refusal: bytes = b""  # sent before a connection too many is closed
    _open: Counter[str] = field(default_factory=Counter, init=False, repr=False)

    @contextmanager
    def admit(self, address: str) -> Iterator[bool]:
        """Count a connection while it lasts; yields whether it may be served."""
        if self._open.total() >= self.total or self._open[address] >= self.per_address:
            yield False
            return
        self._open[address] += 1
        try:
            yield True
        finally:
            self._open[address] -= 1
            self._open += Counter()  # drops the addresses that have none left


@asynccontextmanager
async def listening(
    service: str,
    handler: Handler,
    *,
    host: str,
    port: int,
    limits: ConnectionLimits,
    line_limit: int = LINE_LIMIT,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve `handler` on a port while the context lasts; yields the port, also when it was 0.

    An empty `host` means every address of the machine. Raises StartError when it cannot listen.
    """
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_serve(service, handler, limits, reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    handshake = TLS_HANDSHAKE_SECONDS if tls else None
    try:
        server = await asyncio.start_server(
            connected,
            host or None,
            port,
            limit=line_limit,
            ssl=tls,
            ssl_handshake_timeout=handshake,
        )
    except OSError as error:
        raise StartError(f"cannot listen for {service} on {host or '*'}:{port}: {error}") from error
    actual = int(server.sockets[0].getsockname()[1])
    event(logger, "listening", service=service, port=actual)
    try:
        yield actual
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class Door:
    """One of several ports of a service; see `listening`."""

    name: str
    handler: Handler
    port: int
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    line_limit: int = LINE_LIMIT
    tls: ssl.SSLContext | None = None


@asynccontextmanager
async def all_listening(doors: Iterable[Door], *, host: str) -> AsyncIterator[list[int]]:
    """Serve each of them while the context lasts; yields their ports. Raises StartError."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                listening(
                    door.name,
                    door.handler,
                    host=host,
                    port=door.port,
                    limits=door.limits,
                    line_limit=door.line_limit,
                    tls=door.tls,
                )
            )
            for door in doors
        ]


async def _serve(
    service: str,
    handler: Handler,
    limits: ConnectionLimits,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    address = peer_address(writer)
    try:
        with limits.admit(address) as admitted:
            if admitted:
                await handler(reader, writer)
            else:
                warn(logger, "too-many-connections", service=service, address=address)
                writer.write(limits.refusal)
                await drain(writer)
    except (ConnectionError, TimeoutError, ssl.SSLError, asyncio.IncompleteReadError):
        pass  # the client went away, which is its right
    except Exception as error:
        # Only the kind and the place: the text of an error may quote what the client sent.
        logger.error("failure service=%s kind=%s %s", service, type(error).__name__, place(error))
    finally:
        writer.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await writer.wait_closed()
        except (OSError, TimeoutError):
            writer.transport.abort()  # it does not answer our goodbye


def place(error: BaseException) -> str:
    """Return `file:line` where an error was raised, for the log."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "at=unknown"
    return f"at={trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"


async def drain(writer: asyncio.StreamWriter) -> None:
    """Wait until the client has room for more; TimeoutError when it takes nothing."""
    async with asyncio.timeout(WRITE_SECONDS):
        await writer.drain()


def peer_address(writer: asyncio.StreamWriter) -> str:
    """Return the client's IP address, `unknown` when it is gone already."""
    peer = writer.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else "unknown"


async def until_stopped() -> None:
    """Return when the process is asked to end by SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    event(logger, "stopping")

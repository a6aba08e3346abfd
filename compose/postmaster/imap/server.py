"""The IMAP listener: TLS from the first byte (RFC 8314), then a `Connection` each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from postmaster.clients import Timeouts
from postmaster.imap.connection import TIMEOUTS, Connection
from postmaster.services import Services


def imap_handler(
    services: Services, timeouts: Timeouts = TIMEOUTS
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return the connection handler of an IMAP server."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(reader, writer, services, timeouts).serve()

    return handle

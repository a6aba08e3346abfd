"""The IMAP listener: TLS from the first byte (RFC 8314), then a `Connection` each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from postmaster.imap.connection import Connection, Timeouts
from postmaster.services import Services


def imap_handler(
    services: Services, timeouts: Timeouts
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return the connection handler of an IMAP server."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(reader, writer, services, timeouts).serve()

    return handle

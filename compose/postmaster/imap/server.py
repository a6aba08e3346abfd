"""The IMAP listener: TLS from the first byte (RFC 8314), then a `Connection` each."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from postmaster.errors import StartError
from postmaster.imap.connection import Connection, Timeouts
from postmaster.imap.session import Services


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return TLS 1.2 or newer with a certificate chain and its key. Raises StartError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(f"cannot use the certificate {certificate} with {key}: {error}") from error
    return context


def imap_handler(
    services: Services, timeouts: Timeouts
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return the connection handler of an IMAP server."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(reader, writer, services, timeouts).serve()

    return handle

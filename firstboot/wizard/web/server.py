"""HTTPS with bounds: who sends slowly, much, or nothing, does not keep others out for long."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from firstboot.base.errors import MailsteadError
from firstboot.base.waiting import wait_for

# A browser opens a handful; each costs some 50 KiB with its TLS.
MOST_CONNECTIONS = 64
MOST_HEAD_BYTES = 16 << 10
# Of a connection over which no whole request has come.
CONNECTION_SECONDS = 30.0
# Of a request in work: hashing a password takes a second or, under emulation, twenty.
REQUEST_SECONDS = 120.0
START_SECONDS = 30.0
STOP_SECONDS = 10.0


class ListenError(MailsteadError):
    """A port of the web wizard cannot be opened."""


class _BoundedProtocol(H11Protocol):
    """A connection that ends when nothing comes of it, whatever is (or is not) sent over it.

    Between two requests the server ends it after its own, shorter time (`timeout_keep_alive`).
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Not all of them can be served; those above the limit get 503, and far above it nothing.
        if len(self.connections) > 2 * MOST_CONNECTIONS:
            transport.abort()
            return
        self.loop.call_later(CONNECTION_SECONDS, self._end, transport, False)

    def _end(self, transport: asyncio.Transport, late: bool) -> None:
        if transport.is_closing():
            return
        asked = self.cycle is not None
        working = asked and not self.cycle.response_complete
        if working and late:
            transport.abort()
        elif working:
            self.loop.call_later(REQUEST_SECONDS, self._end, transport, True)
        elif asked and not self.conn.trailing_data[0]:
            # No part of another request is there: a browser goes from page to page.
            self.loop.call_later(CONNECTION_SECONDS, self._end, transport, False)
        else:
            transport.close()


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key, PEM."""

    certificate: Path
    key: Path


def open_port(port: int, host: str = "") -> socket.socket:
    """A listening socket, for IPv6 and IPv4 unless `host` says otherwise; 0 takes any free port.

    Raises ListenError.
    """
    try:
        if host:
            return socket.create_server((host, port))
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    except OSError as error:
        raise ListenError(
            f"port {port} of the web wizard cannot be opened: {error.strerror}",
            "Setup goes on at the console.",
        ) from None


@contextlib.contextmanager
def serving(app: Any, listener: socket.socket, pair: Pair | None = None) -> Iterator[None]:
    """Serve an ASGI application in a thread of its own, over TLS when there is a `pair`."""
    server = uvicorn.Server(_config(app, pair))
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True
    )
    thread.start()
    try:
        wait_for(
            lambda: server.started or not thread.is_alive(),
            what="the start of the web wizard",
            timeout=START_SECONDS,
            interval=0.02,
        )
        yield
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS)
        listener.close()


def _config(app: Any, pair: Pair | None) -> uvicorn.Config:
    # What it logs of requests would only tell the journal about people's browsers.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=_BoundedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=MOST_CONNECTIONS,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        ssl_certfile=str(pair.certificate) if pair else None,
        ssl_keyfile=str(pair.key) if pair else None,
    )

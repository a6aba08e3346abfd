"""The `admin` service: HTTP for the proxy, with bounds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from postmaster.admin.app import make_app
from postmaster.admin.directory import PersonDirectory
from postmaster.admin.machine import read_machine
from postmaster.admin.machine_link import SOCKET, MachineLink
from postmaster.admin.pages import ADMINISTRATOR_MENU, MENU
from postmaster.admin.site import Site
from postmaster.errors import StartError
from postmaster.export.link import VaultLink
from postmaster.logs import event
from postmaster.secretfiles import read_token

logger = logging.getLogger(__name__)

MOST_CONNECTIONS = 128  # of the proxy; more are answered with 503
MOST_HEAD_BYTES = 16 << 10
STOP_SECONDS = 3


@dataclass(frozen=True)
class AdminOptions:
    """Where directory and mail store answer, and where to listen; 0 for a free port."""

    directory_host: str
    directory_port: int
    mailstore_host: str
    mailstore_port: int
    token: Path
    machine: Path
    listen: str
    port: int
    socket: Path = SOCKET


@contextlib.asynccontextmanager
async def serving_admin(options: AdminOptions) -> AsyncIterator[int]:
    """Run the service while the context lasts; yields the port. Raises StartError."""
    token = read_token(options.token, "the token of the web pages")
    directory = PersonDirectory(options.directory_host, options.directory_port, token)
    machine, link = read_machine(options.machine), MachineLink(options.socket)
    vaults = VaultLink(options.mailstore_host, options.mailstore_port)
    app = make_app(Site(machine, directory, vaults, MENU, ADMINISTRATOR_MENU, link))
    try:
        listener = socket.create_server((options.listen, options.port))
    except OSError as error:
        raise StartError(f"cannot listen on port {options.port}: {error}") from error
    server = uvicorn.Server(_config(app))
    # Not `serve`, which would take the signals of this process for itself.
    running = asyncio.create_task(server._serve([listener]))
    port = int(listener.getsockname()[1])
    event(logger, "listening", service="admin", port=port)
    try:
        yield port
    finally:
        server.should_exit = True
        await running
        listener.close()


def _config(app: object) -> uvicorn.Config:
    # What it would log of requests is nobody's business.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=65,  # longer than the proxy's own, so that it never meets a closed one
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
    )

"""The `dav` service: Radicale behind the proxy, with logins and storage at the mail store."""

from __future__ import annotations

import io
import json
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from radicale.app import Application
from radicale.config import DEFAULT_CONFIG_SCHEMA, Configuration

from postmaster.dav.auth import Logins, auth_type
from postmaster.dav.current import Current
from postmaster.dav.link import Address
from postmaster.dav.storage import storage_type
from postmaster.errors import StartError
from postmaster.logs import event, warn

logger = logging.getLogger(__name__)

MOST_REQUESTS = 32  # at once; more wait
REQUEST_SECONDS = 60.0  # without a byte from the proxy
CONTENT_BYTES = 10_000_000
ITEM_BYTES = 8_000_000

# What a person finds at the first login; everything else is made by programs.
FIRST_COLLECTIONS = {
    "calendar": {
        "tag": "VCALENDAR",
        "D:displayname": "Calendar",
        "C:supported-calendar-component-set": "VEVENT,VJOURNAL,VTODO",
    },
    "contacts": {"tag": "VADDRESSBOOK", "D:displayname": "Contacts"},
}

Application_ = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True)
class DavOptions:
    """Where the service listens, 0 for a free port, and where the mail store does."""

    listen: str
    port: int
    mailstore: Address


def make_application(options: DavOptions) -> Application_:
    """Return the WSGI application."""
    current = Current()
    radicale = Application(_configuration(options, current))

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        current.forget()

        def start(status: str, headers: list[tuple[str, str]]) -> Any:
            if status.startswith("5"):
                status = current.status or status
                warn(
                    logger,
                    "request-failed",
                    method=environ["REQUEST_METHOD"],
                    status=status.partition(" ")[0],
                )
            return start_response(status, [_announced(*header) for header in headers])

        try:
            return list(radicale(environ, start))
        finally:
            current.forget()

    return serve


def _announced(name: str, value: str) -> tuple[str, str]:
    """A header without what Radicale announces and has not got: locks (class 2, RFC 4918 18.2)."""
    if name != "DAV":
        return name, value
    return name, ", ".join(found for found in value.split(", ") if found != "2")


@contextmanager
def serving_dav(options: DavOptions) -> Iterator[int]:
    """Run the service in threads while the context lasts; yields the port. Raises StartError."""
    try:
        server = _Server((options.listen, options.port), _Handler)
    except OSError as error:
        raise StartError(f"cannot listen on port {options.port}: {error}") from error
    server.set_app(make_application(options))
    thread = threading.Thread(target=server.serve_forever, name="dav", daemon=True)
    thread.start()
    port = int(server.server_address[1])
    event(logger, "listening", service="dav", port=port)
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()


def keep_quiet() -> None:
    """Have nothing of Radicale logged: what it says quotes requests, and so people's lives.

    For a process that does nothing else, once logging has been set up.
    """
    found = logging.getLogger("radicale")
    found.addFilter(lambda _record: False)
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: record.name.startswith("postmaster"))


def _configuration(options: DavOptions, current: Current) -> Configuration:
    """Everything that is not Radicale's default."""
    configuration = Configuration(DEFAULT_CONFIG_SCHEMA)
    configuration.update(
        {
            "server": {
                "max_content_length": CONTENT_BYTES,
                "max_resource_size": ITEM_BYTES,
                "delay_on_error": 0.0,
                "_internal_server": True,
            },
            "auth": {
                "type": auth_type(Logins(options.mailstore), current),
                "realm": "Mailstead",
                "delay": 0.0,
            },
            "rights": {"type": "owner_only"},
            "storage": {
                "type": storage_type(current),
                "predefined_collections": json.dumps(FIRST_COLLECTIONS),
            },
            "web": {"type": "none"},
            "logging": {"level": "critical"},
        },
        "postmaster",
        privileged=True,
    )
    return configuration


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread a request, of which there are so many at most."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._room = threading.BoundedSemaphore(MOST_REQUESTS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """As the parent's, without looking up a name for the address."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._room.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no error of ours."""


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Who asks for what is nobody's business."""

    def address_string(self) -> str:
        return str(self.client_address[0])

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        # Radicale takes text here, where WSGI has bytes as Latin-1.
        environ["PATH_INFO"] = unquote(self.path.partition("?")[0])
        return environ

    def get_stderr(self) -> Any:
        """For what the parent would say of an exception, which may quote what a client sent."""
        return io.StringIO()

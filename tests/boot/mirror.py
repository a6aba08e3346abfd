"""A real HTTP server for published releases, which can be told to misbehave."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Where QEMU's user network reaches the host's loopback interface.
HOST = "10.0.2.2"
_CHUNK = 1 << 16


@dataclass
class Mirror:
    """Serves `folder`. `served` counts the bytes of each file's bodies by its path.

    `ranges` are the paths and first bytes of all requests for the rest of a file. `stop_in` is a
    path and how many bytes of its body are sent: then the server is `away`, and answers nobody.
    `longer` sends so many bytes more than a file has; envelopes stay as they are, or nothing else
    would be asked for. `replaced` are contents that stand in for files.
    """

    folder: Path
    port: int = 0
    served: dict[str, int] = field(default_factory=dict)
    ranges: list[tuple[str, int]] = field(default_factory=list)
    stop_in: tuple[str, int] | None = None
    away: bool = False
    longer: int = 0
    replaced: dict[str, bytes] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Under which the guest finds it."""
        return f"http://{HOST}:{self.port}/"

    def forget(self) -> None:
        """Behave well again, and count from nothing."""
        self.served.clear()
        self.ranges.clear()
        self.replaced.clear()
        self.stop_in, self.away, self.longer = None, False, 0


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Mirror]:
    """A mirror of `folder` on the loopback interface, for the time of the block."""
    mirror = Mirror(folder)
    handler = type("Handler", (_Handler,), {"mirror": mirror})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    mirror.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """GET with one byte range (RFC 9110, 14), which Python's own handler lacks."""

    mirror: Mirror
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        # One answer for each connection, as machines ask.
        self.close_connection = True
        if self.mirror.away:
            return
        name = self.path.lstrip("/")
        path = self.mirror.folder / name
        if name in self.mirror.replaced:
            content = self.mirror.replaced[name]
        elif ".." not in name and path.is_file():
            content = path.read_bytes()
        else:
            self.send_error(404)
            return
        start, size = 0, len(content)
        if found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(found[1])
            self.mirror.ranges.append((name, start))
            if start >= size:
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            self.send_response(200)
        longer = 0 if name.endswith(".json") else self.mirror.longer
        body = content[start:] + bytes(longer)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(name, body)

    def _send(self, name: str, body: bytes) -> None:
        mirror = self.mirror
        if mirror.stop_in is not None and mirror.stop_in[0] == name:
            body = body[: mirror.stop_in[1]]
            # Before the client can see the end of it, and ask again.
            mirror.stop_in, mirror.away = None, True
        # The client may have seen enough.
        with contextlib.suppress(ConnectionError):
            for offset in range(0, len(body), _CHUNK):
                chunk = body[offset : offset + _CHUNK]
                # First, since a client that has all of it goes on at once.
                mirror.served[name] = mirror.served.get(name, 0) + len(chunk)
                self.wfile.write(chunk)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Quietly."""

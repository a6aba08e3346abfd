"""A real HTTP server in a thread, which can be told to misbehave."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class WebServer:
    """Serves `files` by path. `requests` are the paths and ranges that were asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0
    # End the connection after so many bytes of a body; one for each answer, then no more.
    stops: list[int] = field(default_factory=list)
    ranges: bool = True
    chunked: bool = False
    # What is said in place of the truth.
    length: int | None = None
    content_range: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    status: int | None = None
    redirects: dict[str, str] = field(default_factory=dict)

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@contextlib.contextmanager
def serving() -> Iterator[WebServer]:
    web = WebServer()
    handler = type("Handler", (_Handler,), {"web": web})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    web.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    web: WebServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        web, name = self.web, self.path.lstrip("/")
        asked = self.headers.get("Range", "")
        web.requests.append((name, asked))
        self.close_connection = True
        if name in web.redirects:
            self.send_response(302)
            self.send_header("Location", web.redirects[name])
            self.send_header("Connection", "close")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if web.status is not None or name not in web.files:
            self.send_response(web.status or 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content, start = web.files[name], 0
        match = re.fullmatch(r"bytes=(\d+)-", asked)
        if match and web.ranges:
            start = int(match[1])
            self.send_response(206 if start < len(content) else 416)
            honest = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", web.content_range or honest)
        else:
            self.send_response(200)
        self._body(content[start:])

    def _body(self, body: bytes) -> None:
        web = self.web
        for key, value in web.headers.items():
            self.send_header(key, value)
        if web.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(web.length or len(body)))
        self.end_headers()
        stop = web.stops.pop(0) if web.stops else len(body)
        with contextlib.suppress(OSError):
            if web.chunked:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(body[:stop]), body[:stop]))
                self.wfile.write(b"0\r\n\r\n" if stop == len(body) else b"")
            else:
                self.wfile.write(body[:stop])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Quietly."""

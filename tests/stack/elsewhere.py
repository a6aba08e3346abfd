"""Somebody else's mail server, on this host: it keeps what comes byte for byte, or refuses it.

The stack finds it by the MX record of its domain, at this host's address in the network `edge`.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.stack.boxes import Boxes
from tests.stack.names import zone

DOMAIN = "example.net"


@dataclass
class Elsewhere:
    """What came, and what the server is to say.

    `sessions` has all bytes of each connection; `refusals` answer recipients, one after the other,
    and when there is none left, recipients are taken.
    """

    sessions: list[bytes] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def find(self, mark: str) -> bytes | None:
        """The session in which a mark came."""
        return next((session for session in self.sessions if mark.encode() in session), None)


class _Handler(socketserver.StreamRequestHandler):
    """One connection: SMTP without extensions (RFC 5321)."""

    server: _Server

    def handle(self) -> None:
        self.seen = b""
        self._say(f"220 mx.{DOMAIN} ESMTP")
        while line := self._line():
            verb = line[:4].upper()
            if verb == b"DATA":
                self._say("354 go on")
                while self._line() not in {b".\r\n", b""}:
                    pass
                self.server.elsewhere.sessions.append(self.seen)
                self._say("250 taken")
            elif verb == b"RCPT":
                refusals = self.server.elsewhere.refusals
                self._say(refusals.pop(0) if refusals else "250 yes")
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 yes")

    def _line(self) -> bytes:
        """To the next line feed, with whatever is before it."""
        line = self.rfile.readline()
        self.seen += line
        return line

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, elsewhere: Elsewhere) -> None:
        self.elsewhere = elsewhere
        super().__init__((address, 25), _Handler)


@contextlib.contextmanager
def elsewhere(boxes: Boxes, folder: Path) -> Iterator[Elsewhere]:
    """The server, which the mta finds as the MX of DOMAIN; `folder` is for the name server."""
    address = boxes.gateway("edge")
    records = [f"{DOMAIN} MX 10 mx.{DOMAIN}.", f"mx.{DOMAIN} A {address}"]
    found = Elsewhere()
    with _Server(address, found) as server, zone(boxes, records, folder):
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()

"""A real certificate authority on the loopback interface: pebble, which can be made to fail.

pebble stands behind a proxy that hands on what comes, until it is told to refuse, and asks a name
server of ours for the names that it checks.
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from firstboot.base.certificate import make_certificate
from firstboot.base.waiting import wait_for
from tools.stack.ports import LOOPBACK, free_ports
from tools.vm.processes import started

ADVICE = "/when-to-renew"
# On a host that does much else, its keys alone take a minute.
SECONDS = 300.0


@dataclass
class Authority:
    """`directory` is its address, `trust` the file by which it is known.

    With `refusal` (status, problem document) new orders are refused; with `down` every connection
    is closed. `listen` is where it asks for answers to challenges. `requests` are the paths asked.
    It gives no advice when to renew (RFC 9773), unless `advice` is one (document, headers), or
    `own_advice`: that of pebble, as far as its version has it.
    """

    directory: str
    trust: Path
    listen: dict[str, str]
    refusal: tuple[int, dict[str, str]] | None = None
    down: bool = False
    advice: tuple[object, dict[str, str]] | None = None
    own_advice: bool = False
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def running_authority(folder: Path, *, bad_nonces: int = 0) -> Iterator[Authority]:
    """pebble for as long as the block runs; so many percent of good nonces are refused."""
    made = make_certificate("localhost", now=datetime.datetime.now(datetime.UTC))
    for name, content in (("authority.pem", made.certificate), ("authority.key", made.key)):
        (folder / name).write_bytes(content)
    with contextlib.ExitStack() as stack:
        names = stack.enter_context(_serving(socketserver.UDPServer((LOOPBACK, 0), _Names)))
        pebble, management, http_port, tls_port = free_ports(4)
        config = {
            "listenAddress": f"{LOOPBACK}:{pebble}",
            "managementListenAddress": f"{LOOPBACK}:{management}",
            "certificate": str(folder / "authority.pem"),
            "privateKey": str(folder / "authority.key"),
            "httpPort": http_port,
            "tlsPort": tls_port,
        }
        (folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        settings = [f"PEBBLE_WFE_NONCEREJECT={bad_nonces}", "PEBBLE_VA_NOSLEEP=1"]
        argv = ["env", *settings, "pebble", "-config", str(folder / "pebble.json")]
        nameserver = f"{LOOPBACK}:{names.server_address[1]}"
        log = folder / "pebble.log"
        child = stack.enter_context(started("pebble", [*argv, "-dnsserver", nameserver], log=log))
        wait_for(
            lambda: _answers(pebble) or not child.running,
            what="pebble's start",
            timeout=SECONDS,
            interval=0.02,
        )
        assert child.running, child.log_tail()
        front = _Front((LOOPBACK, 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "authority.pem", folder / "authority.key")
        front.socket = context.wrap_socket(front.socket, server_side=True)
        front.behind = pebble
        front.trust = ssl.create_default_context(cafile=folder / "authority.pem")
        front.authority = Authority(
            f"https://localhost:{front.server_address[1]}/dir",
            folder / "authority.pem",
            {"http-01": f"{LOOPBACK}:{http_port}", "tls-alpn-01": f"{LOOPBACK}:{tls_port}"},
        )
        stack.enter_context(_serving(front))
        yield front.authority


class _Front(ThreadingHTTPServer):
    """The proxy: TLS at both ends, and the host that was asked stays, since pebble's links and
    signatures contain it."""

    daemon_threads = True
    authority: Authority
    trust: ssl.SSLContext
    behind: int

    def handle_error(self, *_arguments: object) -> None:
        """A client that goes away is no matter of a test's output."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Front

    def do_GET(self) -> None:
        self._hand_on()

    do_HEAD = do_POST = do_GET  # noqa: N815 - the names are the library's

    def _hand_on(self) -> None:
        authority = self.server.authority
        authority.requests.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if authority.down:
            self.close_connection = True
            return
        if authority.advice is not None and self.path.startswith(f"{ADVICE}/"):
            document, headers = authority.advice
            self._answer(200, headers, json.dumps(document).encode())
            return
        if authority.refusal is not None and self.path.startswith("/order-plz"):
            status, problem = authority.refusal
            content = json.dumps(problem).encode()
            self._answer(status, {"Content-Type": "application/problem+json"}, content)
            return
        behind = http.client.HTTPSConnection(
            "localhost", self.server.behind, context=self.server.trust, timeout=SECONDS
        )
        with contextlib.closing(behind):
            headers = {**self.headers, "Accept-Encoding": "identity"}
            behind.request(self.command, self.path, body or None, headers)
            got = behind.getresponse()
            content = got.read()
            if self.path == "/dir" and not authority.own_advice:
                content = self._advising(content)
            self._answer(got.status, dict(got.getheaders()), content)

    def _advising(self, directory: bytes) -> bytes:
        """The directory with the address of our advice, if there is any."""
        content = json.loads(directory)
        content.pop("renewalInfo", None)
        if self.server.authority.advice is not None:
            content["renewalInfo"] = f"https://{self.headers['Host']}{ADVICE}"
        return json.dumps(content).encode()

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "date", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Nothing on the terminal."""


class _Names(socketserver.BaseRequestHandler):
    """A name server for which every name is this host's (RFC 1035): an A record, and no other."""

    def handle(self) -> None:
        query, answer_to = self.request
        end = query.index(b"\0", 12) + 5
        wants_address = query[end - 4 : end - 2] == b"\0\1"
        counts = b"\0\1" + (b"\0\1" if wants_address else b"\0\0") + b"\0\0\0\0"
        answer = query[:2] + b"\x81\x80" + counts + query[12:end]
        if wants_address:
            answer += b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(LOOPBACK)
        answer_to.sendto(answer, self.client_address)


@contextlib.contextmanager
def _serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), 1):
        return True
    return False

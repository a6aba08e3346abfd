"""A mail server for one person and a few commands: what the round trip needs, and no more.

It delivers what is submitted to INBOX with trace fields in front, as real servers do; `spoil` may
change a message on the way.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

TRACE = (
    b"Return-Path: <canary@mail.example.com>\r\n"
    b"Received: from mail.example.com\r\n\tby mta; Tue, 24 Nov 2026 06:00:00 +0000\r\n"
)


def _deliver(message: bytes) -> bytes | None:
    return TRACE + message


@dataclass
class MailServer:
    """Submission and IMAP on free loopback ports."""

    tls: ssl.SSLContext
    user: str
    password: str
    spoil: Callable[[bytes], bytes | None] = _deliver
    inbox: dict[int, bytes] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    next_uid: int = 1
    sockets: list[socket.socket] = field(default_factory=list)

    @property
    def submission(self) -> int:
        return int(self.sockets[0].getsockname()[1])

    @property
    def imaps(self) -> int:
        return int(self.sockets[1].getsockname()[1])

    def store(self, content: bytes) -> None:
        self.inbox[self.next_uid] = content
        self.next_uid += 1

    def serve(self, listener: socket.socket, speak: Callable[[socket.socket], None]) -> None:
        """Accept connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                connection.settimeout(60)
                threading.Thread(target=self._serve_one, args=(connection, speak)).start()

    def _serve_one(self, connection: socket.socket, speak: Callable[[socket.socket], None]) -> None:
        with connection, contextlib.suppress(OSError):
            speak(connection)

    def smtp(self, connection: socket.socket) -> None:
        """RFC 6409 with STARTTLS (RFC 3207) and AUTH PLAIN (RFC 4954)."""
        connection.sendall(b"220 test\r\n")
        lines = connection.makefile("rb")
        while line := lines.readline():
            match line.split()[0].upper():
                case b"EHLO" if isinstance(connection, ssl.SSLSocket):
                    connection.sendall(b"250-test\r\n250 AUTH PLAIN\r\n")
                case b"EHLO":
                    connection.sendall(b"250-test\r\n250 STARTTLS\r\n")
                case b"STARTTLS":
                    connection.sendall(b"220 go\r\n")
                    connection = self.tls.wrap_socket(connection, server_side=True)
                    lines = connection.makefile("rb")
                case b"AUTH":
                    expected = f"\0{self.user}\0{self.password}".encode()
                    right = base64.b64decode(line.split()[2]) == expected
                    connection.sendall(b"235 ok\r\n" if right else b"535 no\r\n")
                case b"DATA":
                    connection.sendall(b"354 go\r\n")
                    body = iter(lines.readline, b".\r\n")
                    message = b"".join(part.removeprefix(b".") for part in body)
                    if (delivered := self.spoil(message)) is not None:
                        self.store(delivered)
                    connection.sendall(b"250 ok\r\n")
                case b"QUIT":
                    connection.sendall(b"221 bye\r\n")
                case _:
                    connection.sendall(b"250 ok\r\n")

    def imap(self, plain: socket.socket) -> None:
        """RFC 9051: LOGIN, SELECT, FETCH by UID, STORE and EXPUNGE."""
        with self.tls.wrap_socket(plain, server_side=True) as connection:
            connection.sendall(b"* OK [CAPABILITY IMAP4rev1] test\r\n")
            lines = connection.makefile("rb")
            while line := lines.readline():
                tag, *words = line.split()
                status, untagged = self._imap_answer(words)
                connection.sendall(untagged + tag + b" " + status + b" done\r\n")

    def _imap_answer(self, words: list[bytes]) -> tuple[bytes, bytes]:
        match [word.upper() for word in words]:
            case [b"LOGIN", *_]:
                right = [word.strip(b'"').decode() for word in words[1:]]
                return b"OK" if right == [self.user, self.password] else b"NO", b""
            case [b"SELECT", *_]:
                return b"OK", b"* %d EXISTS\r\n* OK [UIDNEXT %d] next\r\n" % (
                    len(self.inbox),
                    self.next_uid,
                )
            case [b"UID", b"FETCH", uids, b"(UID)"]:
                first = int(uids.partition(b":")[0])
                return b"OK", b"".join(
                    b"* %d FETCH (UID %d)\r\n" % (number, uid)
                    for number, uid in enumerate(self.inbox, 1)
                    # `n:*` means the last message even if its UID is below n.
                    if uid >= first or uid == max(self.inbox)
                )
            case [b"UID", b"FETCH", uid, _]:
                content = self.inbox[int(uid)]
                start = b"* 1 FETCH (UID %d BODY[] {%d}\r\n" % (int(uid), len(content))
                return b"OK", start + content + b")\r\n"
            case [b"UID", b"STORE", uid, *_]:
                self.deleted.add(int(uid))
            case [b"EXPUNGE"]:
                for number in self.deleted:
                    self.inbox.pop(number, None)
        return b"OK", b""


@contextlib.contextmanager
def mail_server(directory: Path, user: str, password: str) -> Iterator[MailServer]:
    """A running server with certificate.pem and key.pem of a directory."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    server = MailServer(tls, user, password)
    threads = []
    for speak in (server.smtp, server.imap):
        listener = socket.create_server(("127.0.0.1", 0))
        server.sockets.append(listener)
        threads.append(threading.Thread(target=server.serve, args=(listener, speak)))
        threads[-1].start()
    try:
        yield server
    finally:
        for listener in server.sockets:
            # Closing alone does not wake up accept().
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in threads:
            thread.join()

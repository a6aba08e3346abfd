"""Clients of the benchmarks: they do as little as they can, so that the server is what is timed."""

from __future__ import annotations

import secrets
import socket
import ssl
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

SECONDS = 600.0
CHUNK = 1 << 18


class _Client:
    """A connection, of which whole answers are read."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(SECONDS)
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def _more(self) -> None:
        data = self._socket.recv(CHUNK)
        if not data:
            raise ConnectionError(f"the server has left after {bytes(self._buffer[-200:])!r}")
        self._buffer += data

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line


class ImapClient(_Client):
    """An IMAP connection over TLS."""

    def __init__(self, address: tuple[str, int], *, nodelay: bool = True) -> None:
        """`nodelay`: whether the client asks for TCP_NODELAY, as not all do."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # both are ours, and neither is what is measured
        plain = socket.create_connection(address, SECONDS)
        if nodelay:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(context.wrap_socket(plain))
        self._tag = secrets.token_hex(8).encode()  # that no message holds
        self._line()

    def log_in(self, person: str, password: str) -> None:
        """Log in; ConnectionError when that is refused."""
        self.command(f"LOGIN {person} {password}")

    def command(self, text: str) -> bytes:
        """Send a command; return its whole answer but the last line. Raises ConnectionError."""
        self._socket.sendall(self._tag + b" " + text.encode() + b"\r\n")
        return self._answer()

    def append(self, folder: str, messages: Sequence[bytes]) -> None:
        """Append messages by one command, with literals that wait for nothing."""
        parts = [self._tag + b" APPEND " + folder.encode()]
        for message in messages:
            parts += [b" {%d+}\r\n" % len(message), message]
        self._socket.sendall(b"".join([*parts, b"\r\n"]))
        self._answer()

    def append_slowly(self, folder: str, message: bytes) -> None:
        """Append as simple clients do: wait for the go-ahead, then write in several pieces."""
        command = b"%b APPEND %b {%d}\r\n" % (self._tag, folder.encode(), len(message))
        self._socket.sendall(command)
        while not self._line().startswith(b"+"):
            pass
        half = len(message) // 2
        for piece in (message[:half], message[half:], b"\r\n"):
            self._socket.sendall(piece)
        self._answer()

    def idle(self) -> None:
        """Begin to IDLE."""
        self._socket.sendall(self._tag + b" IDLE\r\n")
        while not self._line().startswith(b"+"):
            pass

    def _answer(self) -> bytes:
        start, looked = 0, 0
        end_mark = b"\r\n" + self._tag + b" "
        while True:
            if self._buffer.startswith(self._tag + b" "):
                start = 0
                break
            found = self._buffer.find(end_mark, looked)
            if found >= 0:
                start = found + 2
                break
            looked = max(0, len(self._buffer) - len(end_mark))
            self._more()
        while (end := self._buffer.find(b"\r\n", start)) < 0:
            self._more()
        status = bytes(self._buffer[start + len(self._tag) + 1 : end])
        answer = bytes(self._buffer[:start])
        del self._buffer[: end + 2]
        if not status.startswith(b"OK"):
            raise ConnectionError(f"the server answers {status.decode(errors='replace')}")
        return answer


class LmtpClient(_Client):
    """An LMTP connection that sends as Postfix does, several commands at a time."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(socket.create_connection(address, SECONDS))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reply()
        self._socket.sendall(b"LHLO bench.example.com\r\n")
        self._reply()

    def deliver(self, person: str, messages: Iterable[bytes]) -> None:
        """Deliver messages one after the other. Raises ConnectionError when one is refused."""
        commands = f"MAIL FROM:<a@example.org>\r\nRCPT TO:<{person}>\r\nDATA\r\n".encode()
        for message in messages:
            self._socket.sendall(commands)
            for _ in range(3):
                self._reply()
            self._socket.sendall(message + b".\r\n")
            self._reply()

    def _reply(self) -> None:
        while (line := self._line())[3:4] == b"-":
            pass
        if line[:1] not in b"23":
            raise ConnectionError(f"the server answers {line.decode(errors='replace')}")

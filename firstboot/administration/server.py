"""The socket: who may connect, how much at a time, and when there is nothing to do any more.

systemd listens and starts this process when somebody connects (systemd.socket(5)); after a while
without a connection it ends, so that an idle machine pays nothing.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from firstboot.administration.desk import Desk
from firstboot.administration.protocol import (
    MOST_BYTES,
    BusyError,
    DeniedError,
    InvalidError,
    Refusals,
    encode,
    refusal,
)
from firstboot.base.errors import MailsteadError

ADMIN_USER = 10007  # of the container `admin` (compose/services.yaml)
IDLE_SECONDS = 120.0
REQUEST_SECONDS = 10.0  # to send a request, and to take each line of the answer
MOST_AT_A_TIME = 16
_FAREWELL_SECONDS = 1.0
_FIRST_DESCRIPTOR = 3  # sd_listen_fds(3)
_CREDENTIALS = struct.Struct("3i")  # struct ucred, unix(7)


@dataclass(frozen=True)
class Server:
    """Serves a desk to one user. `idle`: seconds without a connection until it ends, if it does."""

    desk: Desk
    user: int = ADMIN_USER
    idle: float | None = IDLE_SECONDS

    def serve(self, listener: socket.socket) -> None:
        """Answer until nobody has asked for a while, or the socket is shut down."""
        threads: set[threading.Thread] = set()
        last = time.monotonic()
        while True:
            threads = {thread for thread in threads if thread.is_alive()}
            if threads:
                last = time.monotonic()
            left = 1.0 if self.idle is None else last + self.idle - time.monotonic()
            if left <= 0:
                return
            if not select.select([listener], [], [], min(left, 1.0) if threads else left)[0]:
                continue
            try:
                connection, _ = listener.accept()
            except ConnectionAbortedError:
                continue
            except OSError:
                # Whoever waits is served by the next process, which systemd starts.
                return
            last = time.monotonic()
            if len(threads) >= MOST_AT_A_TIME:
                self._turn_away(connection, BusyError("too many requests at a time"))
                continue
            thread = threading.Thread(target=self._attend, args=(connection,), daemon=True)
            thread.start()
            threads.add(thread)

    def _attend(self, connection: socket.socket) -> None:
        """One request. Whoever goes away, or never says anything, is forgotten."""
        with contextlib.suppress(OSError), connection:
            connection.settimeout(REQUEST_SECONDS)
            if peer_user(connection) != self.user:
                self._turn_away(connection, DeniedError("this socket is not for you"))
                return
            line = _read_line(connection)
            if line is None:
                self._turn_away(connection, InvalidError("expected one line, not too long"))
                return

            def progress(text: str) -> None:
                connection.sendall(encode({"progress": text}))

            connection.sendall(encode(self.desk.answer(line, progress)))

    def _turn_away(self, connection: socket.socket, error: MailsteadError) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(_FAREWELL_SECONDS)
            connection.sendall(encode(refusal(error, Refusals())))
            connection.shutdown(socket.SHUT_WR)
            # What is not read when a socket is closed would take the answer with it.
            for _ in range(8):
                if not connection.recv(MOST_BYTES):
                    return


def peer_user(connection: socket.socket) -> int:
    """The user of the process at the other end."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(data)[1])


def inherited() -> socket.socket:
    """The socket that systemd listens on. Raises MailsteadError when there is none."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise MailsteadError("nobody gave this process a socket", "systemd starts it.")
    return socket.socket(fileno=_FIRST_DESCRIPTOR)


def listen(path: Path, user: int = ADMIN_USER) -> socket.socket:
    """Listen as the socket unit does, where there is no systemd."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o711)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, user, user)
    listener.listen(MOST_AT_A_TIME)
    return listener


def _read_line(connection: socket.socket) -> bytes | None:
    """One line without its end; None when it does not come in time or is too long."""
    data = b""
    end = time.monotonic() + REQUEST_SECONDS
    while b"\n" not in data:
        if len(data) > MOST_BYTES or time.monotonic() > end:
            return None
        piece = connection.recv(16 * 1024)
        if not piece:
            return None
        data += piece
    line = data.partition(b"\n")[0]
    return line if len(line) <= MOST_BYTES else None

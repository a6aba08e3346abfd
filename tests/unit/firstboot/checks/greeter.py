"""Mail servers on the loopback that say one line."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def greeter(line: bytes) -> Iterator[int]:
    """A server that greets everybody with `line`, or, without one, takes connections silently."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, line))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listener: socket.socket, line: bytes) -> None:
    connections = []
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            connections.append(connection)
            if line:
                connection.sendall(line)
    for connection in connections:
        connection.close()

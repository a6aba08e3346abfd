"""The greeting of somebody else's mail server: what it takes to see whether mail gets out."""

from __future__ import annotations

import socket

from firstboot.base.errors import CheckError

# RFC 5321, 4.5.3.1.5: the longest reply line.
_LONGEST = 512


class UnreachableError(CheckError):
    """A server does not answer; the message says why."""


def read_greeting(host: str, port: int, timeout: float) -> str:
    """The first line that a mail server says, and then leave it (RFC 5321, 3.1).

    By IPv4 when there is a choice, since that is what most mail goes by. `timeout` is in seconds,
    for each step. Raises UnreachableError.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        raise UnreachableError(f"{host} could not be looked up") from None
    family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    try:
        with socket.socket(family, kind, protocol) as connection:
            connection.settimeout(timeout)
            connection.connect(address)
            line = connection.makefile("rb").readline(_LONGEST)
            connection.sendall(b"QUIT\r\n")
    except TimeoutError:
        raise UnreachableError(f"{host} did not answer within {timeout:g} s") from None
    except OSError as error:
        raise UnreachableError(f"{host}: {error.strerror or error}") from None
    return line.decode("ascii", errors="replace").strip()


def connects(host: str, port: int, timeout: float) -> bool:
    """Whether somebody takes a connection there."""
    try:
        socket.create_connection((host, port), timeout=timeout).close()
    except OSError:
        return False
    return True

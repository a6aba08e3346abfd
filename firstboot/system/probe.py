"""Whether a port answers: a greeting from the server behind it, not just an open socket.

Docker's proxy accepts connections as soon as a container exists, so that a connection alone says
nothing. Servers of SMTP, IMAP and POP3 speak first (RFC 5321, 3.1; RFC 9051, 7.1.1; RFC 1939, 4);
those of HTTP answer.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from firstboot.base.roundtrip import LOOPBACK, trusting
from firstboot.base.services import Port
from firstboot.base.web import HTTPS


def port_problem(
    port: Port, hostname: str, certificate: Path, *, timeout: float = 10.0
) -> str | None:
    """Why a port does not answer as declared on the loopback interface, or None."""
    try:
        with socket.create_connection((LOOPBACK, port.published), timeout=timeout) as plain:
            if port.tls != "implicit":
                return _greeting_problem(plain)
            context = trusting(certificate)
            with context.wrap_socket(plain, server_hostname=hostname) as encrypted:
                if port.name == HTTPS:
                    head = f"HEAD / HTTP/1.1\r\nHost: {hostname}\r\nConnection: close\r\n\r\n"
                    encrypted.sendall(head.encode("ascii"))
                return _greeting_problem(encrypted)
    except TimeoutError:
        return f"no answer within {timeout:g} s"
    except (OSError, ssl.SSLError) as error:
        return str(getattr(error, "verify_message", "") or error.strerror or error)


def _greeting_problem(connection: socket.socket) -> str | None:
    return None if connection.recv(1) else "the connection was closed without a greeting"

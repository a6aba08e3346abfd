"""Cheap health checks of the services: each port must answer in its own protocol.

Standard library only, so that the check starts fast; see `__main__`.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from collections.abc import Callable, Mapping

TIMEOUT = 5.0  # seconds for each port
SOCKETMAP_PORT, AUTH_PORT, QUERY_PORT, POLICY_PORT, SELF_PORT = 4000, 4001, 4002, 4004, 4005
LMTP_PORT, IMAPS_PORT, POP3S_PORT, DESK_PORT = 24, 993, 995, 4003
DAV_PORT, ADMIN_PORT = 5232, 5233
NOBODY = "nobody@invalid"  # RFC 2606: never a real domain


def check_socketmap(host: str, port: int) -> None:
    """A lookup of a domain that cannot exist is answered with NOTFOUND (socketmap_table(5))."""
    answer = _exchange(host, port, b"15:domains invalid,", 12)
    _expect(answer == b"9:NOTFOUND ,", "socketmap", answer)


def check_auth(host: str, port: int) -> None:
    """The server greets with its protocol version (Dovecot authentication protocol)."""
    answer = _exchange(host, port, b"", 8)
    _expect(answer == b"VERSION\t", "auth", answer)


def check_query(host: str, port: int) -> None:
    """Nobody is resolved to nobody."""
    request = json.dumps({"op": "resolve", "address": NOBODY}).encode() + b"\n"
    answer = _exchange(host, port, request, 1)
    _expect(answer == b"{", "query", answer)


def check_policy(host: str, port: int) -> None:
    """Nothing is said against a message of nobody (SMTPD_POLICY_README)."""
    answer = _exchange(host, port, b"request=smtpd_access_policy\n\n", 7)
    _expect(answer == b"action=", "policy", answer)


def check_lmtp(host: str, port: int) -> None:
    """The server greets with 220 (RFC 2033)."""
    answer = _exchange(host, port, b"", 4)
    _expect(answer == b"220 ", "lmtp", answer)


def check_imaps(host: str, port: int) -> None:
    """TLS comes up and the server greets."""
    answer = _exchange_encrypted(host, port, b"h LOGOUT\r\n")
    _expect(answer == b"* OK ", "imaps", answer)


def check_pop3s(host: str, port: int) -> None:
    """TLS comes up and the server greets."""
    answer = _exchange_encrypted(host, port, b"QUIT\r\n")
    _expect(answer == b"+OK M", "pop3s", answer)


def check_desk(host: str, port: int) -> None:
    """A question without sense is answered (`dav.protocol`)."""
    answer = _exchange(host, port, b"\0\0\0\2{}", 5)
    _expect(answer[4:] == b"{", "desk", answer)


def check_dav(host: str, port: int) -> None:
    """Whoever has not logged in is told that this is HTTP."""
    answer = _exchange(host, port, b"OPTIONS / HTTP/1.0\r\n\r\n", 5)
    _expect(answer == b"HTTP/", "dav", answer)


def check_self_service(host: str, port: int) -> None:
    """Who has no token is refused (`directory.self_service`)."""
    answer = _exchange(host, port, b"{}\n", 1)
    _expect(answer == b"{", "self-service", answer)


def check_admin(host: str, port: int) -> None:
    """The style sheet, which needs neither a login nor the directory, is there."""
    answer = _exchange(host, port, b"GET /style.css HTTP/1.0\r\n\r\n", 12)
    _expect(answer == b"HTTP/1.1 200", "admin", answer)


Check = Callable[[str, int], None]
CHECKS: Mapping[str, tuple[tuple[Check, int], ...]] = {
    "directory": (
        (check_socketmap, SOCKETMAP_PORT),
        (check_auth, AUTH_PORT),
        (check_query, QUERY_PORT),
        (check_policy, POLICY_PORT),
        (check_self_service, SELF_PORT),
    ),
    "mailstore": (
        (check_lmtp, LMTP_PORT),
        (check_imaps, IMAPS_PORT),
        (check_pop3s, POP3S_PORT),
        (check_desk, DESK_PORT),
    ),
    "dav": ((check_dav, DAV_PORT),),
    "admin": ((check_admin, ADMIN_PORT),),
}


def run(service: str, host: str = "127.0.0.1", ports: Mapping[int, int] | None = None) -> int:
    """Check one service; print the first fault; return the exit code (0 healthy, 1 not).

    `ports` maps a standard port to the one that is really used.
    """
    for check, standard in CHECKS[service]:
        port = (ports or {}).get(standard, standard)
        try:
            check(host, port)
        except (OSError, ValueError) as error:
            sys.stdout.write(f"{service} is not healthy: port {port}: {error}\n")
            return 1
    return 0


def _exchange(host: str, port: int, request: bytes, count: int) -> bytes:
    with socket.create_connection((host, port), TIMEOUT) as connection:
        connection.sendall(request)
        answer = b""
        while len(answer) < count and (chunk := connection.recv(count - len(answer))):
            answer += chunk
        return answer


def _exchange_encrypted(host: str, port: int, goodbye: bytes) -> bytes:
    """Return the first bytes of a greeting; whom the certificate names is not the question here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), TIMEOUT) as plain, context.wrap_socket(plain) as s:
        answer = s.recv(5)
        s.sendall(goodbye)
    return answer


def _expect(condition: bool, protocol: str, answer: bytes) -> None:
    if not condition:
        raise ValueError(f"{protocol} answered {answer!r}")

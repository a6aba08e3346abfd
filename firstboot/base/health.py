"""Whether services do what they are for: each is asked, over its network, by whoever wants to know.

Docker could ask, too, by starting a process in every container every so often. That costs a small
machine more than all its services do at rest, and it tells what was, not what is.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from firstboot.base.engine import Container
from firstboot.base.services import Exchange, Service

# For each exchange. Whoever waits for a service asks again.
ANSWER_SECONDS = 10.0


def ailments(containers: Iterable[Container], services: Iterable[Service]) -> dict[str, str]:
    """The services that are not well, with the reason: no container, not running, no answer.

    All are asked at once, so this takes as long as the slowest of them, a minute at the very worst.
    """
    by_name = {container.service: container for container in containers}
    asked = tuple(services)
    with ThreadPoolExecutor(max_workers=len(asked) or 1) as pool:
        found = pool.map(lambda service: _ailment(by_name.get(service.name), service), asked)
        names = (service.name for service in asked)
        return {name: ailment for name, ailment in zip(names, found, strict=True) if ailment}


def not_running(containers: Iterable[Container], services: Iterable[Service]) -> dict[str, str]:
    """The services that cannot be well, with the reason; nobody is asked."""
    by_name = {container.service: container for container in containers}
    stopped = {service.name: _standstill(by_name.get(service.name)) for service in services}
    return {name: reason for name, reason in stopped.items() if reason}


def listed(ailments: dict[str, str]) -> str:
    """`mta: exited, redis: no container`, for a message."""
    return ", ".join(f"{name}: {ailment}" for name, ailment in ailments.items())


def answer_problem(host: str, exchange: Exchange) -> str | None:
    """Why a port does not answer as it should, or None.

    Whom a certificate names is not the question here: that is asked at the published ports.
    """
    try:
        with socket.create_connection((host, exchange.port), ANSWER_SECONDS) as plain:
            if not exchange.tls:
                return _answer_problem(plain, exchange)
            with _anybody().wrap_socket(plain) as encrypted:
                return _answer_problem(encrypted, exchange)
    except TimeoutError:
        return f"no answer within {ANSWER_SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)


def _ailment(container: Container | None, service: Service) -> str | None:
    standstill = _standstill(container)
    if container is None or standstill:
        return standstill
    for exchange in service.health:
        if problem := answer_problem(container.address, exchange):
            return f"port {exchange.port}: {problem}"
    return None


def _standstill(container: Container | None) -> str | None:
    if container is None:
        return "no container"
    if container.status != "running":
        return container.status
    return None if container.address else "no network"


def _answer_problem(connection: socket.socket, exchange: Exchange) -> str | None:
    connection.sendall(exchange.send)
    answer = b""
    while len(answer) < len(exchange.expect):
        chunk = connection.recv(len(exchange.expect) - len(answer))
        if not chunk:
            break
        answer += chunk
    return None if answer == exchange.expect else f"it answered {answer!r}"


def _anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

"""Containers that tests put beside the stack, in its networks, which `stack down` leaves alone."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import docker

from firstboot.base.waiting import wait_for

_LABEL = "mailstead.beside-a-stack"
LABELS: Mapping[str, str] = {_LABEL: "tests"}


def remove_left(api: docker.APIClient) -> None:
    """Remove what a run that was killed has left."""
    for container in api.containers(all=True, filters={"label": _LABEL}):
        api.remove_container(container["Id"], force=True)


def await_greeting(address: str, port: int) -> None:
    """Wait until a mail server greets: what is sent to it before would wait for minutes."""

    def greets() -> bool:
        try:
            # Whoever is not patient begins anew each time, and a slow host never gets to greet.
            with socket.create_connection((address, port), 30) as connection:
                return connection.recv(1) == b"2"
        except OSError:
            return False

    wait_for(greets, what=f"a greeting of {address}", timeout=120, interval=0.2)

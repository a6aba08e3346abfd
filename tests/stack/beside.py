"""Containers that tests put beside the stack, in its networks, which `stack down` leaves alone."""

from __future__ import annotations

from collections.abc import Mapping

import docker

_LABEL = "mailstead.beside-a-stack"
LABELS: Mapping[str, str] = {_LABEL: "tests"}


def remove_left(api: docker.APIClient) -> None:
    """Remove what a run that was killed has left."""
    for container in api.containers(all=True, filters={"label": _LABEL}):
        api.remove_container(container["Id"], force=True)

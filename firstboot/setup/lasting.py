"""Containers that end again and again, for which nobody waits any longer."""

from __future__ import annotations

from firstboot.base.compose import PROJECT
from firstboot.base.engine import Container, Engine
from firstboot.base.errors import EngineError

# Docker starts a container that has ended again, ever more slowly. One that ends so often in one
# start of the machine, which is when Docker begins to count, will not get well by waiting.
MAX_RESTARTS = 5


def lasting_containers(engine: Engine) -> tuple[Container, ...]:
    """The stack's containers as they are; EngineError when one ends again and again."""
    containers = engine.containers(PROJECT)
    for container in containers:
        if container.restarts >= MAX_RESTARTS:
            often = f"{container.service} has ended {container.restarts} times"
            raise EngineError(f"{often}\n{engine.logs(container)}", "`mailstead check` tells more.")
    return tuple(containers)

"""Waiting until every container of a stack is healthy, or saying which is not and what it said."""

from __future__ import annotations

from collections.abc import Sequence

from firstboot.base.engine import Engine
from firstboot.base.errors import DeadlineError, EngineError
from firstboot.base.health import ailments, listed
from firstboot.base.services import Service
from firstboot.base.waiting import wait_for

# A busy host may take minutes for what takes seconds.
HEALTHY_SECONDS = 600.0
LOG_LINES = 20


def await_health(
    engine: Engine, project: str, services: Sequence[Service], *, timeout: float = HEALTHY_SECONDS
) -> None:
    """Return when all `services` are healthy.

    Raises EngineError after `timeout` seconds, with the last lines of the first that is not.
    """
    ill: dict[str, str] = {}

    def well() -> bool:
        nonlocal ill
        ill = ailments(engine.containers(project), services)
        return not ill

    try:
        wait_for(well, what="every container healthy", timeout=timeout, interval=0.25)
    except DeadlineError as error:
        service = next(iter(ill))
        raise EngineError(
            f"{error} ({listed(ill)}); {service} said last:\n"
            + _last_words(engine, project, service),
            "The stack is left as it is, to be looked at; tools/forge stack down removes it.",
        ) from None


def _last_words(engine: Engine, project: str, service: str) -> str:
    for container in engine.containers(project):
        if container.service == service:
            lines = engine.logs(container, lines=LOG_LINES).splitlines()
            return "\n".join(f"  {line}" for line in lines) or "  (nothing)"
    return "  (it has no container)"

"""`mailstead gate`: whether this version works, which decides whether it may stay."""

from __future__ import annotations

from firstboot.base.engine import Engine, lacking
from firstboot.base.errors import DeadlineError, EngineError
from firstboot.base.paths import Paths
from firstboot.base.services import read_stack
from firstboot.base.waiting import wait_for
from firstboot.setup.lasting import lasting_containers
from firstboot.system.console import Console

# Docker looks at a container every two minutes at first; emulation makes each look slow.
HEALTHY_SECONDS = 900.0


def await_healthy(paths: Paths, console: Console, engine: Engine) -> None:
    """Wait until every service's container is healthy, by its own check.

    That mail goes round `mailstead start` has shown already. Raises EngineError with what is wrong,
    at once when a container ends again and again.
    """
    names = [service.name for service in read_stack(paths.services).services]
    reasons: list[str] = []

    def healthy() -> bool:
        reasons[:] = lacking(lasting_containers(engine), names)
        return not reasons

    try:
        wait_for(healthy, what="every container healthy", timeout=HEALTHY_SECONDS, interval=2.0)
    except DeadlineError as error:
        raise EngineError(
            f"{error} ({', '.join(reasons)})", "`mailstead check` tells more."
        ) from None
    console.say("every container is healthy")

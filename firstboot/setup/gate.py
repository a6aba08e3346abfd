"""`mailstead gate`: whether this version works, which decides whether it may stay."""

from __future__ import annotations

from firstboot.base.engine import Engine
from firstboot.base.errors import DeadlineError, EngineError
from firstboot.base.health import ailments, listed
from firstboot.base.paths import Paths
from firstboot.base.services import read_stack
from firstboot.base.settings import read_settings
from firstboot.base.waiting import wait_for
from firstboot.setup.lasting import lasting_containers
from firstboot.system.console import Console

# For a machine under emulation, where everything takes ten to thirty times as long.
HEALTHY_SECONDS = 600.0


def await_healthy(paths: Paths, console: Console, engine: Engine) -> None:
    """Wait until every service that is needed answers as it should.

    That mail goes round `mailstead start` has shown already. Raises EngineError with what is wrong,
    at once when a container ends again and again.
    """
    stack = read_stack(paths.services)
    services = stack.needed_by(read_settings(paths.settings)).services
    ill: dict[str, str] = {}

    def healthy() -> bool:
        nonlocal ill
        ill = ailments(lasting_containers(engine), services)
        return not ill

    try:
        wait_for(healthy, what="every container healthy", timeout=HEALTHY_SECONDS, interval=2.0)
    except DeadlineError as error:
        raise EngineError(f"{error} ({listed(ill)})", "`mailstead check` tells more.") from None
    console.say("every container is healthy")

"""`stack_status`: what a stack's containers are doing, without changing anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from firstboot.base.engine import Container, Engine
from firstboot.base.health import ailments
from firstboot.base.services import read_stack
from firstboot.base.settings import read_settings
from tools.stack.daemon import answering
from tools.stack.home import Home
from tools.stack.lifecycle import SERVICES, require_root


@dataclass(frozen=True)
class ContainerStatus:
    """One container. `status` is Docker's word, `ailment` what is wrong with its service, or None.

    `memory` is in bytes, None where it does not run.
    """

    service: str
    status: str
    ailment: str | None
    image: str
    image_id: str
    memory: int | None


@dataclass(frozen=True)
class StackStatus:
    """`engine` is where the stack is, None when there is none; `answers`, whether that answers."""

    engine: str | None
    answers: bool
    containers: tuple[ContainerStatus, ...]
    ports: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """What `tools/forge stack status --json` prints."""
        return asdict(self)


def stack_status(*, home: Home | None = None) -> StackStatus:
    """Look at a stack. PrivilegeError without root, StackError when its record is damaged."""
    require_root("status")
    home = home or Home.of_user()
    record = home.read_record()
    if record is None:
        return StackStatus(None, answers=False, containers=(), ports={})
    if not answering(record.engine):
        return StackStatus(record.engine, answers=False, containers=(), ports=record.ports)
    engine = Engine(record.engine)
    running = engine.containers(home.project)
    needed = read_stack(SERVICES).needed_by(read_settings(home.paths.settings))
    ill = ailments(running, needed.services)
    containers = tuple(_status(engine, container, ill) for container in running)
    return StackStatus(record.engine, answers=True, containers=containers, ports=record.ports)


def _status(engine: Engine, container: Container, ill: Mapping[str, str]) -> ContainerStatus:
    return ContainerStatus(
        service=container.service,
        status=container.status,
        ailment=ill.get(container.service),
        image=container.image,
        image_id=container.image_id,
        memory=engine.memory(container) if container.status == "running" else None,
    )

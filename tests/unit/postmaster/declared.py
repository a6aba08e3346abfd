"""What services.yaml says of the services, which have to live up to it."""

from __future__ import annotations

from firstboot.base.services import Exchange, read_stack
from tools.stack.lifecycle import SERVICES


def health(name: str) -> tuple[Exchange, ...]:
    """How a service is asked whether it is well."""
    (service,) = (one for one in read_stack(SERVICES).services if one.name == name)
    return service.health

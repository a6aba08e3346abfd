"""The stack with other settings than the example's, for as long as a test wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from firstboot.base.compose import StackOptions
from firstboot.base.services import Stack
from firstboot.base.settings import Settings, parse_settings
from firstboot.base.stack import write_stack
from firstboot.people.desk import ContainerDesk
from tests.stack.boxes import declared
from tests.stack.people import EXAMPLE
from tools.build.source import CHECKOUT
from tools.stack.example import example_settings
from tools.stack.health import await_health
from tools.stack.lifecycle import StackUp
from tools.stack.ports import LOOPBACK

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
ROOT_KEY = "/usr/share/dns/root.key"


def changed_settings(stack: StackUp, **sections: Any) -> Settings:
    """The example's settings with other sections, checked as a file of them would be."""
    settings = example_settings(EXAMPLE, stack.home)
    document = {**settings.model_dump(mode="json"), **sections}
    return parse_settings(yaml.safe_dump(document), "the changed settings")


def render_stack(stack: StackUp, services: Stack, settings: Settings) -> Path:
    """Do what a start does with these settings before containers run; the compose file."""
    home = stack.home
    return write_stack(
        settings,
        services,
        stack.release,
        templates=CHECKOUT / "compose",
        config=home.config,
        state=home.state,
        options=StackOptions(
            project=home.project,
            log_driver="json-file",
            address=LOOPBACK,
            ports=stack.ports,
        ),
    )


def use_settings(
    stack: StackUp,
    services: Stack,
    settings: Settings,
    changed: Sequence[str],
    *,
    authority: Path | None = None,
    trusting: Sequence[str] = ("mta",),
    root_key: Path | None = None,
) -> None:
    """Run the stack with these settings; `changed` are the services that these concern.

    `authority`: the one certificate that the services in `trusting` trust, in the place of those of
    all authorities. `root_key`: what signs the root of all names, in the place of the real key.
    """
    file = render_stack(stack, services, settings)
    replaced = [(service, authority, AUTHORITIES) for service in trusting if authority]
    replaced += [("resolver", root_key, ROOT_KEY)] if root_key else []
    if replaced:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        for service, source, target in replaced:
            mount = {"type": "bind", "source": str(source), "target": target, "read_only": True}
            document["services"][service]["volumes"].append(mount)
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
    stack.engine.compose_up(file, stack.home.project, services.needed_by(settings).names)
    await_health(stack.engine, stack.home.project, declared(changed), timeout=240)
    # What counts at once makes no new container.
    ContainerDesk(stack.engine, stack.home.project).ask(("reread",))

"""The machine that a certificate is for: where its things are, and how a new one is put to use."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.compose import PROJECT
from firstboot.base.engine import Engine
from firstboot.base.errors import EngineError
from firstboot.base.paths import Paths
from firstboot.base.release import Release, read_release
from firstboot.base.services import Stack, read_stack
from firstboot.base.settings import Settings, require_settings
from firstboot.base.stack import write_certificate
from firstboot.base.tls import Facts, certificate_facts, certificate_file, current_certificate
from firstboot.base.web import read_web
from firstboot.certificates.names import names_that_lead_here
from firstboot.system.lego import Order

Now = Callable[[], datetime.datetime]


@dataclass(frozen=True)
class Machine:
    """Everything that certificates have to do with.

    `listen` and `trust` are as in an Order. `further` returns the names besides the host's that a
    certificate can be had for now; it asks the DNS.
    """

    paths: Paths
    settings: Settings
    stack: Stack
    release: Release
    engine: Engine
    now: Now
    listen: str = ""
    trust: Path | None = None
    further: Callable[[], tuple[str, ...]] = tuple

    @property
    def installed(self) -> Path:
        """Where key and chain of the settings' method lie."""
        return certificate_file(self.paths.tls, self.settings.tls.method)

    def shown(self) -> Facts:
        """What the services show, or will from the next start on."""
        return certificate_facts(current_certificate(self.paths.tls, self.settings).certificate)

    def order(self, further: tuple[str, ...] = ()) -> Order:
        """What is to be asked of the authority: a certificate for the host and `further` names."""
        tls = self.settings.tls
        return Order(
            folder=self.paths.lego,
            directory=tls.directory,
            # lego wants one; the postmaster is who is to be told of anything about a domain.
            email=tls.email or f"postmaster@{self.settings.domains[0].name}",
            names=(self.settings.hostname, *further),
            challenge=tls.challenge,
            dns_provider=tls.dns_provider,
            dns_environment=tls.dns_environment,
            trust=self.trust,
            listen=self.listen,
        )


def read_machine(paths: Paths, engine: Engine) -> Machine:
    """The machine as it is; SettingsError when it has not been set up."""
    settings, stack = require_settings(paths.settings), read_stack(paths.services)
    web = read_web(settings, stack)

    def further() -> tuple[str, ...]:
        # Not wanted by most runs, and dear to import.
        from firstboot.system.authority import Authorities  # noqa: PLC0415

        names = web.names if web else ()
        return names_that_lead_here(names, settings.hostname, Authorities().lookup)

    return Machine(
        paths,
        settings,
        stack,
        read_release(paths.release),
        engine,
        lambda: datetime.datetime.now(datetime.UTC),
        further=further,
    )


def put_to_use(machine: Machine) -> bool:
    """Let the services show what they should; whether everyone who runs could be told.

    Whoever is connected stays so. Services that do not run find it when they start.
    """
    certificate = current_certificate(machine.paths.tls, machine.settings)
    write_certificate(certificate, machine.stack, machine.paths.stack)
    reloads = {service.name: service.reload for service in machine.stack.services}
    try:
        for container in machine.engine.containers(PROJECT):
            if (reload := reloads.get(container.service)) and container.status == "running":
                machine.engine.execute(container, reload)
    except EngineError:
        return False
    return True

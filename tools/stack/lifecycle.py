"""`stack_up` and `stack_down`: from a checkout to containers that answer, and back to nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstboot.base.compose import StackOptions
from firstboot.base.engine import Engine
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.release import Release, write_release
from firstboot.base.services import Stack, read_stack
from firstboot.base.settings import Settings, dump_settings, read_settings
from firstboot.base.stack import write_stack
from tools.build.appliance import Parts
from tools.build.image import build_parts
from tools.build.source import CHECKOUT
from tools.host.cache import lock
from tools.host.errors import PrivilegeError
from tools.host.report import Say, say
from tools.stack.administration import start_administration, stop_administration
from tools.stack.daemon import Daemon
from tools.stack.engines import find_engine, reach_engine
from tools.stack.example import EXAMPLE, Example, example_settings
from tools.stack.health import await_health
from tools.stack.home import Home, Record
from tools.stack.ports import LOOPBACK, choose_ports

_TEMPLATES = CHECKOUT / "compose"
SERVICES = _TEMPLATES / "services.yaml"


@dataclass(frozen=True)
class StackUp:
    """A stack that answers: host ports by IANA service name, and whom to log in as.

    `certificate` is the one to trust, for `hostname`; `person` is the first of the example.
    """

    hostname: str
    ports: Mapping[str, int]
    certificate: Path
    person: str
    password_file: Path
    engine: Engine
    release: Release
    home: Home

    def to_json(self) -> dict[str, Any]:
        """What `tools/forge stack up --json` prints."""
        return {
            "version": self.release.version,
            "base": self.release.base,
            "hostname": self.hostname,
            "ports": dict(self.ports),
            "ca_certificate": str(self.certificate),
            "person": {"address": self.person, "password_file": str(self.password_file)},
            "engine": {"version": self.engine.version, "host": self.engine.host},
        }


def stack_up(
    base: str,
    report: Say = say,
    *,
    mirror: str | None = None,
    home: Home | None = None,
    example: Example = EXAMPLE,
    parts: Parts | None = None,
) -> StackUp:
    """Build the containers of the checkout if need be, run them, and wait until they are healthy.

    With `parts` those are run, and nothing is built.
    On a stack that is up, it changes what is outdated and leaves the rest, ports, passwords and
    mail included. Raises PrivilegeError without root, BuildError or ArchiveError from the build,
    EngineError when the engine or a container does not come up.
    """
    require_root("up")
    home = home or Home.of_user()
    with stack_lock("bringing a stack up", report):
        known = home.read_record()
        engine = find_engine(known, Daemon.of_cache(), report)
        home.write_record(known or Record(engine.host))
        parts = parts or build_parts(base, report=report, mirror=mirror)
        stack = read_stack(SERVICES)
        engine.load(parts.containers.archive, parts.release, report)
        settings = _lay_out(home, parts.release, example)
        ports = _start(engine, home, parts.release, stack, settings)
        report("Waiting until every container is healthy …")
        await_health(engine, home.project, stack.needed_by(settings).services)
        start_administration(home, engine)
        # Only now does no container of an earlier build need its image any more.
        engine.prune(parts.release)
    # Of the settings as they were made; they may have none left.
    person = example.people[0].address
    return StackUp(
        hostname=settings.hostname,
        ports=ports,
        certificate=home.certificate,
        person=person,
        password_file=home.password_file(person),
        engine=engine,
        release=parts.release,
        home=home,
    )


def stack_down(report: Say = say, *, home: Home | None = None) -> bool:
    """Remove containers, networks and all that the stack kept; False when there was none.

    Our own engine ends with the last stack on it. Images stay for the next time. Raises EngineError
    when the engine that the stack is on does not answer.
    """
    require_root("down")
    home, daemon = home or Home.of_user(), Daemon.of_cache()
    with stack_lock("taking a stack down", report):
        record = home.read_record()
        if record is not None:
            engine = reach_engine(record, daemon, report)
            stop_administration(home)
            if home.compose_file.is_file():
                report("Removing containers and networks …")
                engine.compose_down(home.compose_file, home.project)
            shutil.rmtree(home.folder)
        if daemon.running and not Engine(daemon.host).containers():
            report("Stopping the Docker engine …")
            daemon.stop()
    return record is not None


def stack_lock(doing: str, report: Say) -> AbstractContextManager[None]:
    """One at a time may bring stacks up and down: the last one on our own engine ends it."""
    return lock("stack", doing, report)


def _lay_out(home: Home, release: Release, example: Example) -> Settings:
    """What the appliance has in its slot, and the settings: the example's, unless they changed."""
    share = home.paths.share
    make_directory(share, mode=0o755)
    write_release(home.paths.release, release)
    if not home.paths.templates.is_symlink():
        home.paths.templates.symlink_to(_TEMPLATES)
    found = read_settings(home.paths.settings)
    if found is None:
        found = example_settings(example, home)
        write_atomic(home.paths.settings, dump_settings(found), mode=0o600)
    return found


def _start(
    engine: Engine, home: Home, release: Release, stack: Stack, settings: Settings
) -> Mapping[str, int]:
    """Render the stack and start what differs from what runs; returns the published ports."""
    known = home.read_record()
    ports = choose_ports((port.name for port in stack.ports), known.ports if known else {})
    # Before anything takes them: so they are the same when this is interrupted and done again.
    home.write_record(Record(engine.host, ports))
    compose_file = write_stack(
        settings,
        stack,
        release,
        templates=_TEMPLATES,
        config=home.config,
        state=home.state,
        options=StackOptions(
            project=home.project,
            log_driver="json-file",
            address=LOOPBACK,
            ports=ports,
        ),
    )
    engine.compose_up(compose_file, home.project, stack.needed_by(settings).names)
    return ports


def require_root(verb: str) -> None:
    """Raise PrivilegeError, with what to run instead, unless this is root."""
    if os.geteuid() != 0:
        raise PrivilegeError(
            f"tools/forge stack {verb} needs root: it gives files to the users of the containers, "
            "and may have to start a Docker engine",
            f"Run: sudo tools/forge stack {verb}",
        )

"""`mailstead start`: after Docker has started, from a rendered stack to a machine that answers."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from firstboot.base.canary import canary_round_trip
from firstboot.base.compose import PROJECT
from firstboot.base.engine import Engine
from firstboot.base.errors import DeadlineError, EngineError, SettingsError, UnreachableError
from firstboot.base.files import sync_directory, write_atomic
from firstboot.base.health import listed, not_running
from firstboot.base.paths import Paths
from firstboot.base.release import Release, read_release
from firstboot.base.roundtrip import RoundTrip
from firstboot.base.services import Port, Stack, read_stack
from firstboot.base.settings import Settings, read_settings
from firstboot.base.waiting import wait_for
from firstboot.setup.lasting import lasting_containers
from firstboot.system.console import Console
from firstboot.system.probe import port_problem

# For a machine under emulation, where everything takes ten to thirty times as long.
RUNNING_SECONDS = 300.0
PORT_SECONDS = 300.0
# Longer than Postfix waits for its milter before it greets anyway.
GREETING_SECONDS = 60.0
MAIL_SECONDS = 300.0
FLUSH_SECONDS = 20.0
MTA = "mta"


@dataclass(frozen=True)
class _Machine:
    paths: Paths
    console: Console
    engine: Engine
    settings: Settings
    stack: Stack
    release: Release

    @property
    def needed(self) -> Stack:
        """What of the stack runs with these settings."""
        return self.stack.needed_by(self.settings)


def start(paths: Paths, console: Console, engine: Engine) -> None:
    """Load the slot's images, run its containers, and wait until a mail has gone round."""
    settings = read_settings(paths.settings)
    if settings is None:
        raise SettingsError([f"{paths.settings}: not there"], "Run first: mailstead boot")
    machine = _Machine(
        paths, console, engine, settings, read_stack(paths.services), read_release(paths.release)
    )
    _load(machine)
    _up(machine)
    for port in machine.needed.ports:
        _await_port(machine, port)
    _await_running(machine)
    _await_mail(machine)
    _flush_queue(machine)
    # Only now does no container of an earlier version need its image any more.
    engine.prune(machine.release)
    console.say(f"ready {settings.hostname}")


def _load(machine: _Machine, *, force: bool = False) -> None:
    """Load what Docker has not got; what a power cut may have left half-loaded, anew.

    Docker does not wait until what it has unpacked is on disk: afterwards an image can be listed
    with the right digest while its files are empty. So a mark stands while that could be.
    """
    paths, console = machine.paths, machine.console
    interrupted = paths.loading.exists()
    write_atomic(paths.loading, "containers are being loaded\n")
    loaded = machine.engine.load(
        paths.archive, machine.release, console.say, force=force or interrupted
    )
    if loaded.references:
        os.sync()
    paths.loading.unlink()
    sync_directory(paths.loading.parent)
    console.say(f"containers loaded ({len(loaded.references)}, {loaded.seconds:.1f} s)")


def _up(machine: _Machine) -> None:
    """Start the containers; if that fails, once more from freshly loaded images."""
    engine, compose_file = machine.engine, machine.paths.compose_file
    needed = machine.needed.names
    try:
        engine.compose_up(compose_file, PROJECT, needed)
    except EngineError as error:
        machine.console.error(error)
        machine.console.say("loading all containers anew")
        with contextlib.suppress(EngineError):
            engine.compose_down(compose_file, PROJECT)
        _load(machine, force=True)
        engine.compose_up(compose_file, PROJECT, needed)
    machine.console.say("containers started")


def _await_running(machine: _Machine) -> None:
    """Wait until every container runs. Whether it does its job is what the mail has to show."""
    stopped: dict[str, str] = {}

    def running() -> bool:
        nonlocal stopped
        stopped = not_running(lasting_containers(machine.engine), machine.needed.services)
        return not stopped

    try:
        wait_for(running, what="every container running", timeout=RUNNING_SECONDS, interval=2.0)
    except DeadlineError as error:
        raise EngineError(
            f"{error} ({listed(stopped)})\n{_last_words(machine, next(iter(stopped)))}",
            "`mailstead check` tells more.",
        ) from None


def _await_mail(machine: _Machine) -> None:
    """Send a mail all the way round: it needs every service, and nothing else proves as much.

    Raises RoundTripError: the last one, when servers on a slow machine have not taken and shown
    the mail after as many tries as the time allows.
    """
    refusals: list[UnreachableError] = []

    def gone_round() -> RoundTrip | None:
        try:
            return canary_round_trip(
                machine.paths,
                machine.settings,
                machine.stack,
                machine.engine,
                timeout=MAIL_SECONDS,
                meanwhile=_flushing(machine),
            )
        except UnreachableError as error:
            refusals.append(error)
            return None

    try:
        done = wait_for(gone_round, what="a mail's round", timeout=MAIL_SECONDS, interval=5.0)
    except DeadlineError:
        raise refusals[-1] from None
    machine.console.say(f"a mail went round ({done.seconds:.1f} s)")


def _flushing(machine: _Machine) -> Callable[[], None]:
    """What may be called at any time and delivers every FLUSH_SECONDS what the MTA has put off.

    Otherwise a mail that came to the MTA before a service was there would wait a minute or two.
    """
    flushed = time.monotonic()

    def flush() -> None:
        nonlocal flushed
        if time.monotonic() - flushed >= FLUSH_SECONDS:
            _flush_queue(machine)
            flushed = time.monotonic()

    return flush


def _flush_queue(machine: _Machine) -> None:
    """Deliver now what the MTA put off because the others were not there yet when it started."""
    for container in machine.engine.containers(PROJECT):
        if container.service == MTA:
            machine.engine.execute(container, ("postqueue", "-f"))


def _last_words(machine: _Machine, service: str) -> str:
    """What a service's container wrote last."""
    for container in machine.engine.containers(PROJECT):
        if container.service == service:
            return machine.engine.logs(container)
    return ""


def _await_port(machine: _Machine, port: Port) -> None:
    problems: list[str | None] = []

    def answers() -> bool:
        lasting_containers(machine.engine)
        hostname, certificate = machine.settings.hostname, machine.paths.certificate
        problem = port_problem(port, hostname, certificate, timeout=GREETING_SECONDS)
        problems.append(problem)
        return problem is None

    what = f"an answer on port {port.published} ({port.name})"
    try:
        wait_for(answers, what=what, timeout=PORT_SECONDS)
    except DeadlineError as error:
        raise EngineError(f"{error}: {problems[-1]}", "`mailstead check` tells more.") from None

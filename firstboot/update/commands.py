"""The verbs below `mailstead update`: what they ask, print and refuse.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from firstboot.base.errors import UpdateRefusedError
from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.update.apply import Prepared
    from firstboot.update.machine import Machine
    from firstboot.update.source import Source

USB = "usb"

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def update() -> None:
    """Upgrade this machine, or go back.

    An upgrade is one thing: the operating system and all services together. It is written beside
    the version that runs and tried at the next start. A version that does not start, or does not
    show within three tries that mail works, is given up, and the one before it comes back.

    Releases come from updates.url in the settings, or from a file. Both signatures of a release
    must be right before anything of it is looked at, and all of it is verified before a byte is
    written to the disk's other slot.

    Exit code 12 says that an upgrade was refused, or did not get what it needs: nothing has
    changed then.
    """


def _json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def _from_option(command: F) -> F:
    return click.option(
        "--from",
        "origin",
        metavar="PATH|usb",
        help="A bundle (mailstead_VERSION.tar) or a published directory in place of updates.url; "
        "`usb` looks for one on volumes labelled MAILSTEAD.",
    )(command)


@update.command()
@_from_option
@_json_option
def check(origin: str | None, as_json: bool) -> None:
    """Tell whether there is a newer version.

    Shows the version, what is new in it, how much would be fetched, and what, if anything, speaks
    against installing it now. Changes nothing.
    """
    from firstboot.update.check import format_offer, read_offer
    from firstboot.update.machine import read_machine

    machine = read_machine(Paths())
    with _source(machine, origin, None) as source:
        offer = read_offer(machine, source)
    click.echo(_dump(vars(offer)) if as_json else format_offer(offer))


@update.command()
@click.argument("version", required=False)
@_from_option
@click.option("--allow-downgrade", is_flag=True, help="Install an older version, too.")
@click.option("--allow-metered", is_flag=True, help="Fetch over a metered network, too.")
@click.option("--no-reboot", is_flag=True, help="Do not restart: the next start tries it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json_option
def apply(
    *,
    version: str | None,
    origin: str | None,
    allow_downgrade: bool,
    allow_metered: bool,
    no_reboot: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Install the newest version, or VERSION, and restart.

    The running version stays as it is until the new one has shown that mail works. When the way
    to a version leads over another one, that one is installed first; run the command again then.

    Something that was stopped, by a power cut or a server, goes on where it stopped. A version
    that failed on this machine is installed only if it is named. An older version is installed
    only with --allow-downgrade, and only if it can read the state that the running one writes.
    """
    from firstboot.base.manifest import version_key
    from firstboot.system.bootloader import restart
    from firstboot.system.maintenance import maintenance
    from firstboot.update.apply import apply as run_apply
    from firstboot.update.apply import choose, prepare
    from firstboot.update.decide import Request
    from firstboot.update.machine import read_machine

    if version is not None:
        version_key(version)
    machine, request = read_machine(Paths()), Request(version, allow_downgrade, allow_metered)
    with (
        maintenance(machine.paths.maintenance_lock, "an upgrade", UpdateRefusedError),
        _source(machine, origin, version) as source,
    ):
        choice = choose(machine, source, request)
        prepared = prepare(machine, source, request, choice)
        if not yes:
            _ask(machine, prepared, restart=not no_reboot)
        run_apply(machine, source, prepared, _say)
    installed, goal = choice.manifest.version, choice.goal
    if installed != goal:
        _say(f"this is a step on the way to {goal}: run the command again when it works")
    if as_json:
        click.echo(_dump({"ok": True, "installed": installed, "goal": goal}))
    if not no_reboot:
        restart()


@update.command()
@_json_option
def status(as_json: bool) -> None:
    """Show what runs, what it could go back to, and what is planned."""
    from firstboot.update.machine import read_machine
    from firstboot.update.status import format_status, read_status

    found = read_status(read_machine(Paths()))
    click.echo(_dump(found.as_json()) if as_json else format_status(found))


@update.command()
@_json_option
def history(as_json: bool) -> None:
    """List all attempts, the newest last, each with what became of it."""
    from firstboot.update.history import read_history
    from firstboot.update.status import format_attempt

    attempts = read_history(Paths().update_history)
    if as_json:
        click.echo(_dump({"attempts": [attempt.as_json() for attempt in attempts]}))
    else:
        click.echo("\n".join(map(format_attempt, attempts)) or "there was no upgrade yet")


@update.command()
@click.option("--no-reboot", is_flag=True, help="Do not restart: the next start is the other one.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json_option
def rollback(*, no_reboot: bool, yes: bool, as_json: bool) -> None:
    """Go back to the version before, and restart.

    The version that runs is not installed again by itself. Mail stays: both versions use the same
    state.
    """
    from firstboot.system.bootloader import restart
    from firstboot.system.maintenance import maintenance
    from firstboot.update.machine import read_machine
    from firstboot.update.rollback import earlier_version, roll_back

    machine = read_machine(Paths())
    with maintenance(machine.paths.maintenance_lock, "a rollback", UpdateRefusedError):
        earlier = earlier_version(machine)
        if not yes:
            question = f"Go back from {machine.release.version} to {earlier}?"
            click.confirm(question, abort=True, err=True)
        roll_back(machine)
    if as_json:
        click.echo(_dump({"ok": True, "from": machine.release.version, "to": earlier}))
    else:
        click.echo(f"the next start is one of {earlier}")
    if not no_reboot:
        restart()


@update.command()
@_json_option
def automatic(as_json: bool) -> None:
    """Upgrade if it is time.

    Run by a timer. Says in one line what it decides; that there is nothing to do, or that it is
    not the time, is no error.
    """
    from firstboot.system.bootloader import restart
    from firstboot.system.maintenance import maintenance
    from firstboot.update.automatic import automatic as run_automatic
    from firstboot.update.automatic import refuse_now
    from firstboot.update.machine import read_machine

    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        _say(line)

    machine, installed = read_machine(Paths()), False
    try:
        refuse_now(machine.facts())
        with (
            maintenance(machine.paths.maintenance_lock, "an upgrade", UpdateRefusedError),
            _source(machine, None, None) as source,
        ):
            installed = run_automatic(machine, source, report)
    except UpdateRefusedError as refusal:
        report(f"no upgrade now: {refusal}")
    if as_json:
        click.echo(_dump({"ok": True, "installed": installed, "decision": lines[-1]}))
    if installed:
        restart()


@update.command()
@_json_option
def settle(as_json: bool) -> None:
    """Note what became of an upgrade.

    Run at each start. A version that failed is named on the console and remembered, and the owner
    (the first person of the settings) gets a mail about it.
    """
    from firstboot.base.notices import send_notices_or_wait
    from firstboot.system.console import find_consoles
    from firstboot.update.machine import read_machine
    from firstboot.update.settle import settle as run_settle

    # What the console shows goes to standard output, too, where one JSON object is to be alone.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        settled = run_settle(read_machine(Paths()), find_consoles())
    send_notices_or_wait(Paths())
    if as_json:
        click.echo(_dump({"ok": True, "attempt": settled.as_json() if settled else None}))


@contextlib.contextmanager
def _source(machine: Machine, origin: str | None, version: str | None) -> Iterator[Source]:
    """Where releases are fetched from this time."""
    from firstboot.update.source import Server, opened, opened_volume

    if origin == USB:
        with opened_volume(version, machine.paths.runtime) as found:
            yield found
    elif origin is not None:
        with opened(Path(origin)) as found:
            yield found
    elif machine.updates.url is None:
        raise UpdateRefusedError(
            "the settings have no updates.url, so there is nowhere to look",
            "Upgrade from a file: mailstead update apply --from PATH",
        )
    else:
        yield Server(machine.updates.url, machine.updates.channel)


def _ask(machine: Machine, prepared: Prepared, *, restart: bool) -> None:
    from firstboot.base.progress import megabytes

    click.echo(prepared.manifest.notes.strip(), err=True)
    question = (
        f"Go from {machine.release.version} to {prepared.manifest.version} "
        f"({megabytes(prepared.bytes)} to fetch)"
    )
    if restart:
        question += " and restart, without mail for some minutes"
    click.confirm(f"{question}?", abort=True, err=True)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)

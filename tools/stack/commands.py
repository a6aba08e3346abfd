"""The verb `stack` with its verbs `up`, `down` and `status`."""

from __future__ import annotations

import json

import click

from tools.build.base import AUTO
from tools.host.cache import readable
from tools.options import base_option, json_option, mirror_option
from tools.progress import progress
from tools.stack.lifecycle import StackUp, stack_down, stack_up
from tools.stack.ports import LOOPBACK
from tools.stack.status import StackStatus, stack_status


@click.group()
def stack() -> None:
    """Run the image's containers on a Docker engine of this host, without a VM.

    They are what the image carries, on free ports of 127.0.0.1 and with one example person. Needs
    root. Where no Docker engine answers, one is started, and ends with `down`.
    """


@stack.command()
@base_option(AUTO)
@mirror_option
@json_option
def up(*, base: str, mirror: str | None, as_json: bool) -> None:
    """Build what has changed and start it; what runs and is up to date is left alone."""
    with progress() as report:
        result = stack_up(base, report, mirror=mirror)
    if as_json:
        click.echo(json.dumps(result.to_json(), indent=2))
    else:
        _show_up(result)


@stack.command()
@json_option
def down(*, as_json: bool) -> None:
    """Remove the containers and all they kept: mail, keys and passwords."""
    with progress() as report:
        removed = stack_down(report)
    if as_json:
        click.echo(json.dumps({"removed": removed}, indent=2))
    else:
        click.echo("The stack is gone." if removed else "There was no stack.")


@stack.command()
@json_option
def status(*, as_json: bool) -> None:
    """Show containers and ports."""
    found = stack_status()
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        _show_status(found)


def _show_up(result: StackUp) -> None:
    click.echo(f"Mailstead {result.release.version} on {result.release.base} answers as")
    for name, port in result.ports.items():
        click.echo(f"  {name:<12} {LOOPBACK}:{port}")
    click.echo(f"Certificate of {result.hostname}: {result.certificate}")
    click.echo(f"Log in as {result.person}, password in {result.password_file}")


def _show_status(found: StackStatus) -> None:
    if found.engine is None:
        click.echo("There is no stack. Start one with: tools/forge stack up")
        return
    if not found.answers:
        click.echo(f"The Docker engine at {found.engine}, which has the stack, does not answer.")
    for container in found.containers:
        memory = "" if container.memory is None else readable(container.memory)
        state = container.ailment or "healthy"
        click.echo(f"{container.service:<12} {state:<20} {memory:>8}  {container.image}")
    for name, port in found.ports.items():
        click.echo(f"{name:<12} {LOOPBACK}:{port}")

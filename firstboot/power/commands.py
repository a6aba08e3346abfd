"""The verbs below `mailstead power`.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.system.power import Goal


@click.group()
def power() -> None:
    """Restart the machine or switch it off."""


@power.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def restart(yes: bool) -> None:
    """Stop all services in their order and start the machine anew."""
    _go("restart", "Restart this machine? Mail is away for some minutes", yes)


@power.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def off(yes: bool) -> None:
    """Stop all services in their order and switch the machine off."""
    _go("off", "Switch this machine off? Somebody has to switch it on again", yes)


def _go(goal: Goal, question: str, yes: bool) -> None:
    """Ask, unless told not to, and go; never while an upgrade or a backup is under way."""
    from firstboot.base.errors import MachineError
    from firstboot.system.maintenance import maintenance
    from firstboot.system.power import go

    if not yes:
        click.confirm(question, abort=True)
    with maintenance(Paths().maintenance_lock, "a restart", MachineError):
        go(goal)
    click.echo("the machine restarts" if goal == "restart" else "the machine switches off")

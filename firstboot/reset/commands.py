"""The verbs below `mailstead reset`.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from firstboot.base.paths import Paths

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def reset() -> None:
    """Set the machine up anew, with its mail or without."""


def _yes_option(command: F) -> F:
    return click.option("--yes", metavar="NAME", help="The machine's name; does not ask.")(command)


@reset.command()
@_yes_option
def settings(yes: str | None) -> None:
    """Forget the settings and restart; the mail stays.

    The machine asks for settings as at its first start, or takes a seed that it finds. Somebody
    whose address is the same as before has their mail as before.
    """
    from firstboot.reset.reset import forget_settings

    _go(yes, "the settings; the mail stays", "a reset", forget_settings)


@reset.command()
@_yes_option
def everything(yes: str | None) -> None:
    """Erase all mail, settings and keys and restart.

    The encryption's keys are destroyed in the early stage of the next start, before anything else;
    then the machine is as it was when it was new. Nobody can get the mail back, whatever key they
    kept. The version that is installed stays. Without --yes, a last backup is offered first.
    """
    from firstboot.reset.reset import mark_for_erasure

    if yes is None:
        _offer_backup(Paths())
    _go(yes, "ALL MAIL, settings and keys, for good", "a reset", mark_for_erasure)


def _offer_backup(paths: Paths) -> None:
    """Make a last backup if that is wanted; MachineError when it is and does not work."""
    from firstboot.base.errors import CommandError, MachineError
    from firstboot.base.run import run
    from firstboot.reset.reset import last_backups

    lines = last_backups(paths)
    if not lines:
        click.echo("The settings name no place for a last backup.")
        return
    for line in lines:
        click.echo(line)
    if not click.confirm("Make a last backup first?", default=True):
        return
    try:
        run(["mailstead", "backup", "now"], capture=False)
    except CommandError:
        hint = "See above. To erase without it, answer n, or give --yes NAME."
        raise MachineError("there is no last backup; nothing was erased", hint) from None


def _go(yes: str | None, what: str, why: str, act: Callable[[Paths], None]) -> None:
    """Have the machine's name typed, do it, and restart; never during an upgrade or a backup."""
    from firstboot.base.errors import MachineError
    from firstboot.reset.reset import machine_name
    from firstboot.system.maintenance import maintenance
    from firstboot.system.power import go

    paths = Paths()
    name = machine_name(paths)
    if yes is None:
        click.echo(f"This erases {what}.")
        question = f"Type the machine's name ({name}) to go on"
        yes = str(click.prompt(question, default="", show_default=False))
    if yes.strip().lower() != name:
        raise MachineError(f"that is not this machine's name ({name})", "Nothing was changed.")
    with maintenance(paths.maintenance_lock, why, MachineError):
        act(paths)
        go("restart")
    click.echo("the machine restarts")

"""The command `mailstead check`. It imports what it needs when it runs, like all commands."""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from firstboot.base.errors import CheckError
from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.checks.machine import Bare


@click.command()
@click.option(
    "--group",
    "groups",
    type=click.Choice(["machine", "network", "mail"]),
    multiple=True,
    help="Only the checks of this group; may be given again.",
)
@click.option("--no-outside", is_flag=True, help="Ask no mail servers and blocklists of others.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(groups: tuple[str, ...], no_outside: bool, as_json: bool) -> None:
    """Find out whether everything works.

    machine: what it is made of, its clock, its units. network: whether it reaches others, and is
    reached. mail: the services, with a real message sent through submission and read over IMAP.
    Before the machine is set up, those run that make sense then.

    Ends with exit code 11 when a check fails; a warning does not count as failure.
    """
    from firstboot.base.settings import require_settings
    from firstboot.checks.check import format_result, run_checks, select_checks
    from firstboot.checks.machine import Machine

    machine = _read()
    outside = not no_outside
    if isinstance(machine, Machine):
        outside = outside and machine.settings.checks.outside
    chosen = select_checks(machine, groups, outside=outside)
    if not chosen:
        # Of this group there is nothing to check before the setup.
        require_settings(machine.paths.settings)
    width = max(len(found.name) for found in chosen)
    results = []
    for result in run_checks(machine, chosen):
        results.append(result)
        if not as_json:
            click.echo(format_result(result, width))
    ok = all(result.state != "fail" for result in results)
    if as_json:
        found = [vars(result) for result in results]
        click.echo(json.dumps({"ok": ok, "checks": found}, indent=2, ensure_ascii=False))
    elif not isinstance(machine, Machine):
        click.echo("\nThis machine has not been set up yet: mail was not checked.")
    if not ok:
        sys.exit(CheckError.exit_code)


def _read() -> Bare:
    """The machine, as far as it has been set up."""
    from firstboot.base.engine import Engine
    from firstboot.checks.machine import read_bare, read_machine

    paths = Paths()
    return read_machine(paths, Engine()) if paths.settings.exists() else read_bare(paths)

"""The command `mailstead alarms`. It imports what it needs when it runs, like all commands."""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json

import click

from firstboot.base.paths import Paths

_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def alarms() -> None:
    """Show who was stopped from sending."""


@alarms.command("list")
@_json_option
def list_(as_json: bool) -> None:
    """Show the alarms of the last 24 hours."""
    from firstboot.base.alarms import current_alarms

    found = current_alarms(Paths().alarms)
    if as_json:
        shown = {"ok": True, "alarms": [alarm.as_json() for alarm in found]}
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
    elif found:
        click.echo("\n".join(alarm.sentence() for alarm in found))
    else:
        click.echo("none within 24 hours")


@alarms.command()
@_json_option
def tell(as_json: bool) -> None:
    """Tell the owner of new alarms by mail, each once.

    Run by systemd when there is one.
    """
    from firstboot.alarms.tell import tell as run_tell
    from firstboot.system.console import find_consoles

    told = run_tell(Paths(), find_consoles())
    if as_json:
        shown = {"ok": True, "told": [alarm.as_json() for alarm in told]}
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))

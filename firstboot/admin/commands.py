"""The verbs below `mailstead admin`: the administrator's password.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys

import click

from firstboot.base.paths import Paths


@click.group()
def admin() -> None:
    """The administrator's password.

    It opens the menu on this machine's console.
    """


@admin.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Show whether a password is set, and how many wrong tries there were."""
    from firstboot.base.settings import require_settings
    from firstboot.system.administrator import seconds_to_wait

    paths = Paths()
    is_set = require_settings(paths.settings).administrator.password_hash is not None
    wait = round(seconds_to_wait(paths.administrator_tries))
    if as_json:
        click.echo(json.dumps({"password": is_set, "wait": wait}, indent=2))
        return
    click.echo("password  " + ("set" if is_set else "none: the console's menu stays closed"))
    if wait:
        click.echo(f"tries     refused for {wait} s more, after wrong passwords")


@admin.command()
@click.option("--remove", is_flag=True, help="Take the password away: the menu stays closed then.")
def password(remove: bool) -> None:
    """Set a new password for the menu on the console.

    Asks for it twice; where there is no terminal, reads it as one line from standard input. The one
    before opens nothing any more. It is not the password of anybody's mailbox.
    """
    from firstboot.base.audit import noted
    from firstboot.base.change import Change, change_settings
    from firstboot.base.passwords import MIN_LENGTH, hash_password

    paths = Paths()
    place = ("administrator", "password_hash")
    if remove:
        with noted(paths, "administrator.password", "removed"):
            change_settings(paths.settings, [Change(place, remove=True)], lock=paths.settings_lock)
        click.echo("there is no administrator's password any more")
        return
    if sys.stdin.isatty():
        typed = str(click.prompt("New password", hide_input=True, confirmation_prompt=True))
    else:
        typed = sys.stdin.readline().rstrip("\r\n")
    if len(typed) < MIN_LENGTH:
        raise click.UsageError(f"the password must have at least {MIN_LENGTH} characters")
    change = Change(place, hash_password(typed))
    with noted(paths, "administrator.password", "changed"):
        change_settings(paths.settings, [change], lock=paths.settings_lock)
    paths.administrator_tries.unlink(missing_ok=True)
    click.echo("the administrator's password is changed")

"""The command `mailstead menu`.

It imports what it needs when it runs, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import click

from firstboot.base.paths import Paths


@click.command()
@click.option("--no-idle-end", is_flag=True, help="Stay open when nobody presses a key.")
@click.option("--locked", is_flag=True, help="Ask for the administrator's password first.")
def menu(no_idle_end: bool, locked: bool) -> None:
    """Do everything from one menu, by single keys.

    What the menu does are commands like this one; each screen has help. Without a key for ten
    minutes it ends. A terminal that can do nothing (TERM=dumb) gets numbered lines.
    """
    from firstboot.base.settings import require_settings
    from firstboot.menu.entrance import enter
    from firstboot.menu.menu import run_menu
    from firstboot.system.keyboard import this_terminal

    paths = Paths()
    settings = require_settings(paths.settings)
    phc = settings.administrator.password_hash
    if locked and not enter(this_terminal(), settings.hostname, phc, paths.administrator_tries):
        return
    run_menu(settings.hostname, idle_end=not no_idle_end)

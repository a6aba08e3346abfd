"""The command `mailstead menu`.

It imports what it needs when it runs, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import click

from firstboot.base.paths import Paths


@click.command()
@click.option("--no-idle-end", is_flag=True, help="Stay open when nobody presses a key.")
def menu(no_idle_end: bool) -> None:
    """Do everything from one menu, by single keys.

    What the menu does are commands like this one; each screen has help. Without a key for ten
    minutes it ends. A terminal that can do nothing (TERM=dumb) gets numbered lines.
    """
    from firstboot.base.settings import require_settings
    from firstboot.menu.menu import run_menu

    settings = require_settings(Paths().settings)
    run_menu(settings.hostname, idle_end=not no_idle_end)

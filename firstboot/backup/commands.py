"""The commands `mailstead backup …`; those with much to say have a module of their own."""

from __future__ import annotations

import click

from firstboot.backup.kit_commands import kit
from firstboot.backup.making_commands import MAKING
from firstboot.backup.restore_commands import restore


@click.group()
def backup() -> None:
    """Make encrypted backups, verify them, restore them.

    What opens a backup leaves the machine only on its owner's recovery kit. Where backups go, when,
    and how many are kept is in the settings (backup).
    """


for command in (*MAKING, kit, restore):
    backup.add_command(command)

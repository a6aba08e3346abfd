"""The commands `mailstead backup …`; those with much to say have a module of their own."""

from __future__ import annotations

import click

from firstboot.backup.restore_commands import restore


@click.group()
def backup() -> None:
    """Bring back what an encrypted backup holds."""


backup.add_command(restore)

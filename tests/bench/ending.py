"""How a measurement ends before its time: as the verbs of tools/forge do."""

from __future__ import annotations

import signal
import sys

import click

from firstboot.base.errors import MailsteadError


def run_bench(bench: click.Command) -> None:
    """Run a benchmark; an error is a message and a hint, never a traceback."""
    # Ended from outside means the same as Ctrl-C: what was made for it goes, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        bench()
    except MailsteadError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        sys.exit(error.exit_code)

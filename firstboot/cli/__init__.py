"""The command `mailstead`: the only place that prints results and exits.

Commands import what they need when they run: the machine may be slow or emulated, and `--help`
should not wait for Docker's SDK.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from firstboot.base.errors import MailsteadError
from firstboot.cli.lazy import LazyGroup
from firstboot.cli.reporting import report_error, unexpected


def main() -> NoReturn:
    """Run the command line and exit; an error is a message and a hint, never a traceback."""
    as_json = "--json" in sys.argv[1:]
    try:
        code = mailstead.main(prog_name="mailstead", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("mailstead: stopped", err=True)
        sys.exit(130)
    except MailsteadError as error:
        report_error(error, as_json=as_json)
        sys.exit(error.exit_code)
    except Exception as error:
        report_error(unexpected(error), as_json=as_json)
        sys.exit(MailsteadError.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def mailstead() -> None:
    """A private mail server on a machine of its own.

    To see how it is doing, use `mailstead status`; to find out whether everything works, with a
    real message sent and read, use `mailstead check`. Each command that prints something also
    prints it as JSON with --json.

    The machine itself runs `boot`, `start` and `gate` when it starts; all may be run again at any
    time.

    Exit codes: 0 fine, 1 unexpected error, 2 wrong usage, 3 settings, 4 a program failed,
    5 services, 6 release, 7 Docker, 8 machine, 9 out of time, 10 round trip, 11 a check failed,
    12 an upgrade was refused, 14 no certificate, 15 a vault, 16 the directory, 17 a backup or a
    restore, 18 the mail queue.
    """

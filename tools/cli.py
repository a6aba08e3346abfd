"""The command line of the build host: `tools/forge VERB`."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

import click

from firstboot.base.errors import MailsteadError
from tools.boot.commands import boot
from tools.boot.passwords import hash_password_command
from tools.build.commands import build
from tools.checks.commands import test
from tools.drill.commands import restore_drill
from tools.host.cache import cache_folder
from tools.inspect.commands import inspect
from tools.keys.commands import keys
from tools.publish.commands import publish
from tools.seed.commands import seed
from tools.stack.commands import stack
from tools.trial.commands import try_


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def forge() -> None:
    """Build Mailstead, run it, and prove that it works.

    \b
    tools/forge try     build the image, boot it, send a mail through it and read it back
    tools/forge test    run all the tests

    Missing host packages are installed by apt, after asking where somebody is there to ask. What
    is downloaded and built is kept in $XDG_CACHE_HOME/mailstead; deleting that folder is safe.

    Progress goes to standard error; --json puts one object on standard output.
    """


for command in (
    try_,
    test,
    build,
    boot,
    publish,
    restore_drill,
    stack,
    inspect,
    keys,
    seed,
    hash_password_command,
):
    forge.add_command(command)


def main() -> NoReturn:
    """Run the command line and exit; an error is a message and a hint, never a traceback."""
    # Ended from outside means: undo what was begun, then go.
    signal.signal(signal.SIGTERM, _stop)
    as_json = "--json" in sys.argv[1:]
    try:
        code = forge.main(prog_name="tools/forge", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("tools/forge: stopped", err=True)
        sys.exit(130)
    except MailsteadError as error:
        _report(error, as_json=as_json)
        sys.exit(error.exit_code)
    except Exception as error:
        log = cache_folder("logs") / "forge.log"
        log.write_text(traceback.format_exc(), encoding="utf-8")
        hint = f"This is a defect of tools/forge. Its details are in {log}."
        unexpected = MailsteadError(f"unexpected {type(error).__name__}: {error}", hint)
        _report(unexpected, as_json=as_json)
        sys.exit(unexpected.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _report(error: MailsteadError, *, as_json: bool) -> None:
    if as_json:
        problem = {"ok": False, "error": error.message, "hint": error.hint}
        click.echo(json.dumps(problem, indent=2))
        return
    click.echo(f"tools/forge: error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)

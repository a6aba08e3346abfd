"""Whoever sits at a terminal of the machine: `setup`, and the `console` that waits for a key."""

# ruff: noqa: PLC0415 - commands import what they need when they run, as in firstboot.cli

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from firstboot.base.errors import CheckError, MailsteadError
from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.console.session import Offers


@click.command()
def setup() -> None:
    """Answer the questions of the setup on this terminal.

    The machine's console offers the same. What was answered is kept, so that it can be left and
    continued at any time; nothing is changed before the end. A terminal that cannot show screens
    (TERM=dumb) gets plain prompts.
    """
    from firstboot.cli.facts import read_facts
    from firstboot.wizard.terminal.run import run_wizard

    if Paths().settings.exists():
        raise MailsteadError(
            "this machine is set up already", "Change settings with: mailstead settings set"
        )
    if run_wizard(Paths(), read_facts()):
        click.echo("The answers are handed over; the console shows how it goes on.")
    else:
        click.echo("The answers are kept; nothing has been changed.")


@click.command(hidden=True)
def console() -> None:
    """Serve whoever presses a key on the terminal of this process."""
    import os
    from pathlib import Path

    from firstboot.console.session import Session
    from firstboot.system.keyboard import this_terminal
    from firstboot.system.seats import Seat

    device, paths = Path(os.ttyname(0)), Paths()
    Session(this_terminal(), Seat(device), _offers(paths), paths.progress).attend()


def _offers(paths: Paths) -> Offers:
    """What can be done at a console, of several features."""
    from firstboot.base.handover import take_back
    from firstboot.base.run import run, run_lines
    from firstboot.console.session import Offers
    from firstboot.wizard.web.invitation import ask_for_code, draw_invitation, read_invitation

    def set_up() -> bool:
        from firstboot.cli.facts import read_facts
        from firstboot.wizard.terminal.run import run_wizard

        return run_wizard(paths, read_facts())

    def restore() -> bool:
        return run(["mailstead", "backup", "restore"], capture=False, check=False).returncode == 0

    def show_invitation() -> tuple[str, ...]:
        found = read_invitation(paths.invitation)
        return draw_invitation(found) if found else ()

    def show_status() -> tuple[str, ...]:
        from firstboot.base.engine import Engine
        from firstboot.checks.machine import read_machine
        from firstboot.checks.status import read_status
        from firstboot.console.screens import status_lines

        return status_lines(read_status(read_machine(paths, Engine())).as_json())

    def look(line: Callable[[str], None]) -> None:
        # Apart, so that whatever goes wrong there keeps nobody from the questions.
        done = run_lines(["mailstead", "check"], line)
        if done.returncode not in {0, CheckError.exit_code}:
            line(f"FAIL  {' '.join(done.stderr.split())}")

    def show_menu() -> None:
        from firstboot.base.settings import require_settings
        from firstboot.menu.entrance import enter
        from firstboot.menu.menu import run_menu
        from firstboot.system.keyboard import this_terminal

        found = require_settings(paths.settings)
        phc, tries = found.administrator.password_hash, paths.administrator_tries
        if enter(this_terminal(), found.hostname, phc, tries):
            run_menu(found.hostname)

    def wants_kit() -> bool:
        from firstboot.backup.keys import read_recovery
        from firstboot.base.settings import require_settings

        try:
            kept = read_recovery(paths)
            wanted = bool(require_settings(paths.settings).backup.targets)
        except MailsteadError:
            return False
        return wanted and (kept is None or not kept.confirmed)

    def keep_kit() -> None:
        words = ("mailstead", "backup", "kit", "--keep", "--offline")
        run(words, capture=False, check=False)

    return Offers(
        is_set_up=paths.settings.exists,
        set_up=set_up,
        take_back=lambda: take_back(paths),
        restore=restore,
        look=look,
        invitation=show_invitation,
        new_code=lambda: ask_for_code(paths.invitation),
        status=show_status,
        menu=show_menu,
        wants_kit=wants_kit,
        kit=keep_kit,
    )

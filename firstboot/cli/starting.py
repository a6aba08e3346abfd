"""What the machine itself runs when it starts: `boot`, `firewall`, `start`, `gate`, `web-setup`."""

# ruff: noqa: PLC0415 - commands import what they need when they run, as in firstboot.cli

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from firstboot.base.errors import MailsteadError
from firstboot.base.paths import Paths
from firstboot.cli.reporting import dump, json_option, on_console

if TYPE_CHECKING:
    from firstboot.base.settings import Settings
    from firstboot.setup.seed import RestoreSeed


@click.command()
def boot() -> None:
    """Take the settings and render the stack.

    Runs before Docker starts, and waits for settings as long as there are none.

    The settings come from /state/settings.yaml, or the first time from a seed: the systemd
    credential mailstead.seed, or a file mailstead.yaml on a volume labelled MAILSTEAD or on the
    EFI system partition. A seed may ask for a restore instead.
    """
    from firstboot.backup.putting import restore_waiting
    from firstboot.base.settings import require_settings
    from firstboot.disk.places import Places
    from firstboot.disk.protect import protect, require_possible
    from firstboot.setup.boot import boot as run_boot
    from firstboot.system.console import find_consoles

    paths, places = Paths(), Places()
    console = find_consoles(record=paths.progress)

    def admit(settings: Settings) -> None:
        require_possible(settings.disk.protection, places)

    def bring_back(seed: RestoreSeed) -> None:
        from firstboot.backup.unattended import fetch_ordered

        fetch_ordered(paths, seed.order, lambda line: console.say(f"restore: {line}"))

    with on_console(console.error):
        run_boot(paths, console, admit, lambda: restore_waiting(paths), bring_back)
        try:
            protect(require_settings(paths.settings).disk.protection, places, console)
        except MailsteadError as error:
            # The disk opens as before, and mail does not wait for it.
            console.error(error)


@click.command()
@json_option
def firewall(as_json: bool) -> None:
    """Raise the firewall and show what is open.

    `boot` does so, too. Everything that the settings and the services do not ask for is closed;
    before the setup, only its web pages are open. Connections that are open stay.
    """
    from dataclasses import asdict

    from firstboot.setup.firewall import raise_firewall
    from firstboot.system.console import find_consoles

    with on_console(find_consoles().error):
        openings = raise_firewall(Paths())
    if as_json:
        click.echo(dump({"ok": True, "open": [asdict(opening) for opening in openings]}))
        return
    for opening in openings:
        click.echo(f"{opening.port:<5}  {' '.join(opening.networks) or 'everywhere'}")


@click.command()
def start() -> None:
    """Run the containers of this version.

    Runs after Docker has started: loads what Docker has not got yet, starts the containers, and
    waits until every declared port answers.
    """
    from firstboot.base.engine import Engine
    from firstboot.setup.start import start as run_start
    from firstboot.system.console import find_consoles

    console = find_consoles(record=Paths().progress)
    with on_console(console.error):
        run_start(Paths(), console, Engine())


@click.command()
def gate() -> None:
    """Wait until every container is healthy.

    Runs after `start`. Only when both have succeeded does a version that is on trial count as good;
    until then the boot loader goes back to the version before when the machine is started a few
    times.
    """
    from firstboot.base.engine import Engine
    from firstboot.setup.gate import await_healthy
    from firstboot.system.console import find_consoles

    console = find_consoles(record=Paths().progress)
    with on_console(console.error):
        await_healthy(Paths(), console, Engine())


@click.command("web-setup", hidden=True)
def web_setup() -> None:
    """Serve the questions of setup to a browser until the machine is set up."""
    from firstboot.cli.facts import read_facts
    from firstboot.wizard.web.machine import serve_setup

    serve_setup(Paths(), read_facts)

"""The commands `mailstead disk …`: what protects the disk, and its recovery key.

They import what they need when they run, like all commands.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from firstboot.disk.places import Places


@click.group()
def disk() -> None:
    """See to what protects the disk.

    The mail, the settings and all keys lie on an encrypted partition. The setting disk: protection
    says what opens it when the machine starts; a recovery key opens it always.
    """


@disk.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Show what opens the disk, and whom that keeps out."""
    from firstboot.disk.places import Places
    from firstboot.disk.status import read_protection

    found = read_protection(Places())
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
        return
    rows = found.rows()
    width = max(len(name) for name, _ in rows)
    click.echo("\n".join(f"{name.ljust(width)}  {value}" for name, value in rows))


@disk.command()
def enrol() -> None:
    """Bring the ways into the disk in line with the settings now.

    The machine does so whenever it starts. A passphrase that has to be chosen is asked for on the
    console.
    """
    from firstboot.base.settings import require_settings
    from firstboot.disk.places import Places
    from firstboot.disk.protect import protect
    from firstboot.system.console import find_consoles

    places = Places()
    protection = require_settings(places.paths.settings).disk.protection
    with _key_at_hand(places):
        protect(protection, places, find_consoles())


@disk.group("recovery-key")
def recovery_key() -> None:
    """The key that opens the disk when nothing else does."""


@recovery_key.command("new")
@click.option(
    "--at-next-start", is_flag=True, help="Let the next start make it, and show it on the console."
)
def recovery_key_new(at_next_start: bool) -> None:
    """Make a new recovery key and show it; the old one opens nothing any more.

    Confirm it with: mailstead disk recovery-key confirm. Until then, each start of the machine
    makes another one and shows it on the console.

    Without a key file beside the disk this takes its passphrase or the old recovery key, since the
    TPM gives no key once the machine has started. Who has lost both takes --at-next-start.
    """
    from firstboot.disk.places import Places
    from firstboot.disk.recovery import new_recovery_key, renew_at_next_start
    from firstboot.disk.screen import draw_key

    places = Places()
    if at_next_start:
        renew_at_next_start(places)
        click.echo("The next start makes a new recovery key and shows it on the console.")
        return
    with _key_at_hand(places):
        pending = new_recovery_key(places)
    click.echo(draw_key(pending, colour=False))
    click.echo("Confirm that you have it: mailstead disk recovery-key confirm")


@recovery_key.command("confirm")
@click.argument("group", required=False)
def recovery_key_confirm(group: str | None) -> None:
    """Confirm that you have the recovery key, by the GROUP of it that is asked for.

    Without GROUP, asks for it. What is given on the command line may be seen by others on this
    machine; the seven other groups alone are still far more than anybody can guess.
    """
    from firstboot.base.errors import MachineError
    from firstboot.disk.places import Places
    from firstboot.disk.recovery import confirm, read_pending

    places = Places()
    pending = read_pending(places)
    if pending is not None and group is None:
        group = str(click.prompt(f"Group {pending.group}", hide_input=True))
    if not confirm(places, group or ""):
        asked = "the group asked for" if pending is None else f"group {pending.group}"
        raise MachineError(
            f"that is not {asked} of the recovery key",
            "The console shows the key. To get a new one: mailstead disk recovery-key new",
        )
    click.echo("the recovery key is confirmed")


@disk.command(hidden=True)
def dialogue() -> None:
    """Show a new recovery key on the consoles until it is confirmed."""
    from firstboot.disk.dialogue import converse
    from firstboot.disk.places import Places
    from firstboot.system.console import find_consoles

    converse(Places(), find_consoles().devices)


@contextlib.contextmanager
def _key_at_hand(places: Places) -> Iterator[None]:
    """Where nothing at hand opens the disk, ask for what does; it is gone when done.

    A recovery key that is still being shown need not be typed.
    """
    from firstboot.base.files import make_directory, write_atomic
    from firstboot.disk.errors import NoKeyError
    from firstboot.disk.recovery import normalized, read_pending
    from firstboot.disk.volume import find_key, read_volume

    volume = read_volume(places)
    try:
        find_key(volume)
    except NoKeyError:
        pending = read_pending(places)
        if pending is not None and pending.slot in volume.slots("recovery"):
            key = pending.key
        else:
            asked = click.prompt("Passphrase or recovery key of the disk", hide_input=True)
            key = normalized(str(asked))
        make_directory(places.paths.runtime)
        write_atomic(places.unlock_key, key, mode=0o600)
    try:
        yield
    finally:
        places.unlock_key.unlink(missing_ok=True)

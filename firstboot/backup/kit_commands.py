"""The verb `mailstead backup kit`."""

# ruff: noqa: PLC0415 - commands import what they need when they run, as in firstboot.cli

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from firstboot.backup.engine import Machine
    from firstboot.backup.keys import Recovery
    from firstboot.backup.kit import Opening

PAGE = click.Path(dir_okay=False, writable=True, path_type=Path)
STEM = "mailstead-recovery-kit"


@click.command()
@click.option("--new", "renew", is_flag=True, help="Make another code; the old kit is void.")
@click.option(
    "--confirm",
    "group",
    metavar="GROUP",
    help="Type back the group that is asked for; - reads it from standard input.",
)
@click.option("--keep", is_flag=True, help="Show the code, offer a stick, and ask the group back.")
@click.option("--offline", is_flag=True, help="Leave the places alone until the next backup.")
@click.option("--output", type=PAGE, help="Write the page to this file, for root only.")
@click.option("--pdf", type=PAGE, help="Write it as one page to print, for root only.")
@click.option("--stick", metavar="LABEL", help="Write both to the USB stick with this label.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def kit(
    *,
    renew: bool,
    group: str | None,
    keep: bool,
    offline: bool,
    output: Path | None,
    pdf: Path | None,
    stick: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Show the recovery kit: the code that opens the backups, and how to restore them.

    Print it, or scan the code, and keep it away from the machine. Each place of backups that can
    be reached gets the code at once, the others with their next backup. To show that it was kept,
    give the group that is asked for: mailstead backup kit --confirm GROUP.

    --new makes another code, such as when a kit was lost: it takes the old one's place at every
    backup there is, also the older ones. What somebody has copied before still opens with it.
    """
    from firstboot.backup.engine import read_machine
    from firstboot.backup.keys import new_recovery, present_recovery
    from firstboot.backup.kit import confirm, kit_text
    from firstboot.backup.opening import write_on_stick
    from firstboot.base.errors import MachineError
    from firstboot.base.files import write_atomic
    from firstboot.base.paths import Paths
    from firstboot.system.maintenance import maintenance

    paths = Paths()
    if group is not None:
        if not confirm(paths, sys.stdin.readline() if group == "-" else group):
            raise MachineError("that is not the group asked for", "Look at the kit again.")
        click.echo(json.dumps({"ok": True}) if as_json else "the recovery kit is confirmed")
        return
    if renew and not yes:
        click.confirm("Make another code? The present kit opens nothing any more", abort=True)
    machine = read_machine(paths)
    with maintenance(paths.maintenance_lock, "the recovery kit", MachineError):
        recovery = new_recovery(paths) if renew else present_recovery(paths)
        openings = _untried(machine) if offline else _openings(machine, recovery)
    if keep:
        _keep(machine, recovery, openings)
        return
    page = kit_text(machine.settings.hostname, recovery, openings)
    if output is not None:
        write_atomic(output, page, mode=0o600)
    if pdf is not None:
        write_atomic(pdf, _printed(machine, recovery, openings), mode=0o600)
    if stick is not None:
        printed = _printed(machine, recovery, openings)
        write_on_stick(paths, stick, {f"{STEM}.txt": page.encode(), f"{STEM}.pdf": printed})
    shown = output is None and pdf is None and stick is None
    _tell(page, recovery, openings, shown=shown, as_json=as_json)
    if stick is not None and not as_json:
        click.echo(f"{STEM}.txt and {STEM}.pdf are on the stick, which can be pulled out.")


def _printed(machine: Machine, recovery: Recovery, openings: list[Opening]) -> bytes:
    from firstboot.backup.kitpage import Kit, kit_pdf
    from firstboot.system.qr import qr_modules

    day = machine.now().date().isoformat()
    hostname = machine.settings.hostname
    return kit_pdf(Kit(hostname, recovery, openings, qr_modules(recovery.code), day))


def _untried(machine: Machine) -> list[Opening]:
    from firstboot.backup.kit import Opening

    later = "its next backup sees to that"
    return [Opening(target.name, target.repository, later) for target in machine.targets]


def _keep(machine: Machine, recovery: Recovery, openings: list[Opening]) -> None:
    """A screen of 24 rows for whoever has just set the machine up."""
    from firstboot.backup.kit import confirm, kit_text
    from firstboot.backup.opening import write_on_stick
    from firstboot.base.errors import MailsteadError

    hostname = machine.settings.hostname
    click.echo(f"\nRECOVERY KIT {recovery.kit} of {hostname}\n\n    {recovery.code}\n")
    click.echo(
        "With this code and a backup the mail server comes back on another machine. Write it"
    )
    click.echo(
        "down, or have the whole kit put on a USB stick, as text and as a page to print. Keep"
    )
    click.echo("it away from the machine. The menu shows it again (Set up backups).\n")
    while label := _answer("Label (name) of a USB stick, or Enter for none"):
        try:
            page, printed = (
                kit_text(hostname, recovery, openings),
                _printed(machine, recovery, openings),
            )
            write_on_stick(
                machine.paths, label, {f"{STEM}.txt": page.encode(), f"{STEM}.pdf": printed}
            )
        except MailsteadError as error:
            click.echo(f"{error.message}. {error.hint}")
        else:
            click.echo(f"{STEM}.txt and {STEM}.pdf are on it; pull it out.")
            break
    while given := _answer(f"Group {recovery.group} of the code, or Enter for later"):
        if confirm(machine.paths, given):
            click.echo("The recovery kit is confirmed.")
            return
        click.echo(f"That is not group {recovery.group}.")


def _answer(question: str) -> str:
    return str(click.prompt(question, default="", show_default=False)).strip()


def _openings(machine: Machine, recovery: Recovery) -> list[Opening]:
    """Have the code open every place that can be reached."""
    from firstboot.backup.kit import Opening
    from firstboot.backup.repository import admit_recovery
    from firstboot.backup.targets import opened
    from firstboot.base.errors import MailsteadError
    from firstboot.system.resticerrors import RepositoryMissingError

    found = []
    for target in machine.targets:
        problem = ""
        try:
            with opened(machine.paths, machine.settings.backup, target) as restic:
                keys = restic.keys()
                admit_recovery(restic.with_key(keys), keys, recovery, machine.paths)
        except RepositoryMissingError:
            problem = "the first backup makes it"
        except MailsteadError as error:
            problem = error.message
        found.append(Opening(target.name, target.repository, problem))
    return found


def _tell(
    page: str, recovery: Recovery, openings: list[Opening], *, shown: bool, as_json: bool
) -> None:
    from firstboot.base.errors import CommandError
    from firstboot.system.qr import draw_qr

    if as_json:
        places = {opening.name: opening.problem for opening in openings}
        kept = {
            "kit": recovery.kit,
            "code": recovery.code,
            "group": recovery.group,
            "confirmed": recovery.confirmed,
        }
        click.echo(json.dumps({"ok": True, **kept, "places": places, "page": page}, indent=2))
        return
    if shown:
        click.echo(page)
        try:
            click.echo("\n".join(draw_qr(recovery.code)))
        except CommandError as error:
            click.echo(f"no picture of the code: {error.message}", err=True)
    if not recovery.confirmed:
        click.echo(f"Type back group {recovery.group}: mailstead backup kit --confirm GROUP")

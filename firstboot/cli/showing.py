"""`status` and `version`: what this machine is and how it is doing, of several features."""

# ruff: noqa: PLC0415 - commands import what they need when they run, as in firstboot.cli

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from firstboot.base.errors import MailsteadError
from firstboot.base.paths import Paths
from firstboot.cli.reporting import dump, json_option

if TYPE_CHECKING:
    from firstboot.base.engine import Engine


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show what runs, how full it is, and the backups."""
    from firstboot.base.engine import Engine

    shown, blocks = read_everything(Paths(), Engine())
    click.echo(dump(shown) if as_json else "\n\n".join(blocks))


def read_everything(paths: Paths, engine: Engine) -> tuple[dict[str, Any], list[str]]:
    """What `status` shows: as plain values, and as blocks of lines."""
    from firstboot.backup.automatic import standings
    from firstboot.backup.engine import read_machine as read_backups
    from firstboot.base.alarms import current_alarms
    from firstboot.certificates.machine import read_machine as read_certificates
    from firstboot.certificates.status import read_certificate_status
    from firstboot.checks.machine import read_machine
    from firstboot.checks.status import columns, format_status, read_status
    from firstboot.disk.places import Places
    from firstboot.disk.status import read_protection
    from firstboot.update.machine import read_machine as read_upgrades
    from firstboot.update.status import format_status as format_upgrades
    from firstboot.update.status import read_status as read_upgrade_status

    found = read_status(read_machine(paths, engine))
    shown, blocks = found.as_json(), [format_status(found)]
    with _as_problem(shown, blocks):
        upgrade = read_upgrade_status(read_upgrades(paths))
        shown["upgrade"] = upgrade.as_json()
        blocks.append(format_upgrades(upgrade))
    with _as_problem(shown, blocks):
        certificate = read_certificate_status(read_certificates(paths, engine))
        shown["certificate"] = certificate.as_json()
        blocks.append(columns(certificate.rows()))
    with _as_problem(shown, blocks):
        protection = read_protection(Places())
        shown["protection"] = protection.as_json()
        blocks.append(columns(protection.rows()))
    with _as_problem(shown, blocks):
        backups = standings(read_backups(paths))
        shown["backups"] = [found.as_json() for found in backups]
        rows = [(f"backup: {found.target}", found.sentence()) for found in backups]
        blocks.append(columns(rows or [("backup", "NONE: there is no place for backups yet")]))
    with _as_problem(shown, blocks):
        alarms = current_alarms(paths.alarms)
        shown["alarms"] = [found.as_json() for found in alarms]
        if alarms:
            blocks.append(columns([("ALARM", found.sentence()) for found in alarms]))
    return shown, blocks


@contextlib.contextmanager
def _as_problem(shown: dict[str, Any], blocks: list[str]) -> Iterator[None]:
    """What of the status cannot be read is a problem like others, and no reason to show nothing."""
    try:
        yield
    except MailsteadError as error:
        shown["problems"] = [*shown["problems"], str(error)]
        blocks.append(f"problem: {error}")


@click.command()
@click.option("--last", type=click.IntRange(1), default=50, show_default=True, help="How many.")
@json_option
def audit(last: int, as_json: bool) -> None:
    """Show who changed what, the newest last."""
    from dataclasses import asdict

    from firstboot.base.audit import DONE, read_audit

    found = read_audit(Paths().audit, last)
    if as_json:
        click.echo(dump({"ok": True, "entries": [asdict(entry) for entry in found]}))
        return
    for entry in found:
        outcome = "" if entry.outcome == DONE else f"  {entry.outcome}"
        click.echo(f"{entry.time}  {entry.who}  {entry.verb}  {entry.what}{outcome}")
    if not found:
        click.echo("Nothing has been changed yet.")


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Show which build of Mailstead this is."""
    from dataclasses import asdict

    from firstboot.base.release import read_release

    release = read_release(Paths().release)
    if as_json:
        click.echo(dump(asdict(release)))
        return
    click.echo(f"Mailstead {release.version} ({release.base}, commit {release.commit})")
    click.echo(f"built {release.built}")
    for image in release.images.values():
        click.echo(f"  {image.reference}  {image.manifest}")

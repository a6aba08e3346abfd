"""`mailstead backup now`, `list`, `verify`, `schedule`, `targets`, `automatic`: what they print."""

# ruff: noqa: PLC0415 - commands import what they need when they run, as in firstboot.cli

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.backup.engine import Machine
    from firstboot.base.sections import BackupTarget

F = TypeVar("F", bound=Callable[..., Any])


def _json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def _targets_argument(command: F) -> F:
    return click.argument("names", nargs=-1, metavar="[TARGET]…")(command)


@click.command()
@_targets_argument
@_json_option
def now(names: tuple[str, ...], as_json: bool) -> None:
    """Back up now, to all targets or to those that are named.

    Mail comes in and is read meanwhile. One target that fails does not stop the others. What was
    sent before a cut is not sent again. Exit code 17 says that at least one has failed.
    """
    from firstboot.backup.engine import back_up

    machine = _machine()
    targets = _chosen(machine, names)
    with _alone("a backup"):
        entries = back_up(machine, targets, _say)
    _end([asdict(entry) for entry in entries], [e.target for e in entries if not e.good], as_json)


@click.command("list")
@_targets_argument
@_json_option
def list_(names: tuple[str, ...], as_json: bool) -> None:
    """Show how the backups are, and list those at each target.

    The targets are asked, so this may take a moment. Exit code 17 says that one could not be.
    """
    from firstboot.backup.automatic import standings
    from firstboot.backup.engine import TAG
    from firstboot.backup.targets import opened
    from firstboot.base.errors import MailsteadError

    machine, shown, failed = _machine(), [], []
    chosen = _chosen(machine, names)
    for standing in standings(machine):
        target = next((target for target in chosen if target.name == standing.target), None)
        if target is None:
            continue
        found: dict[str, Any] = {**standing.as_json(), "snapshots": [], "error": None}
        try:
            with opened(machine.paths, machine.settings.backup, target) as restic:
                host = machine.settings.hostname
                snapshots = restic.snapshots(host=host, tag=TAG)
                found["snapshots"] = [{"id": s.id, "time": s.time} for s in snapshots]
        except MailsteadError as error:
            found["error"] = error.message
            failed.append(target.name)
        shown.append(found)
        if not as_json:
            click.echo(f"{target.name}: {standing.sentence()}")
            for entry in found["snapshots"]:
                click.echo(f"  {entry['id'][:8]}  {entry['time'][:19].replace('T', ' ')}")
            if found["error"]:
                click.echo(f"  {found['error']}")
    _end(shown, failed, as_json)


@click.command()
@_targets_argument
@click.option("--all", "everything", is_flag=True, help="Also read and hash all that is there.")
@_json_option
def verify(names: tuple[str, ...], *, everything: bool, as_json: bool) -> None:
    """Restore a random sample of the newest backup and compare it by hash.

    The machine does so by itself every week. With --all, everything in the repository is fetched
    and hashed, too. Nothing of the machine is changed. Exit code 17 says that something is wrong.
    """
    from firstboot.backup.verify import verify as run_verify

    machine = _machine()
    targets = _chosen(machine, names)
    with _alone("a test restore"):
        entries = [run_verify(machine, t, _say, everything=everything) for t in targets]
    _end([asdict(entry) for entry in entries], [e.target for e in entries if not e.good], as_json)


@click.command()
@_json_option
def schedule(as_json: bool) -> None:
    """Show when backups are made, what is kept, and when the next one is due."""
    from firstboot.backup.automatic import next_backup

    machine = _machine()
    backup, due = machine.settings.backup, next_backup(machine)
    shown = {
        "schedule": backup.schedule,
        "next": due.isoformat() if due else None,
        "keep": backup.keep.model_dump(),
        "upload_limit": backup.upload_limit,
        "warn_after": backup.warn_after,
    }
    if as_json:
        click.echo(_dump(shown))
        return
    kept = ", ".join(f"{count} {name}" for name, count in backup.keep.model_dump().items())
    when = f"{due:%Y-%m-%d %H:%M} UTC" if due else "not known yet" if machine.targets else "none"
    click.echo(f"schedule      {backup.schedule}\nnext          {when}\nkept          {kept}")
    click.echo(f"upload limit  {backup.upload_limit}\nwarn after    {backup.warn_after}")
    click.echo("\nTo change it, for example: mailstead settings set backup.schedule hourly")


@click.command()
@click.option(
    "--credentials",
    "name",
    metavar="TARGET",
    help="Read what it takes to get in there from standard input, or ask, and keep it.",
)
@click.option("--stick", metavar="LABEL", help="With --credentials: from the USB stick LABEL.")
@click.option("--try", "try_", is_flag=True, help="Try to get in at each target.")
@_json_option
def targets(name: str | None, *, stick: str | None, try_: bool, as_json: bool) -> None:
    """Show the targets, or give one of them its credentials.

    Targets are settings (backup.targets); credentials are kept apart from them, for root only.
    docs/backup.md says what they look like for each kind of target. At a terminal they are asked
    for; on a stick they are in the file credentials-TARGET.txt.
    """
    from firstboot.backup.handing import handed_over
    from firstboot.backup.targets import (
        find_target,
        has_credentials,
        needs_credentials,
        write_credentials,
    )

    if stick is not None and name is None:
        raise click.UsageError("--stick wants --credentials TARGET: whose they are")
    machine = _machine()
    if name is not None:
        target = find_target(machine.settings.backup, name)
        write_credentials(machine.paths, target, handed_over(machine.paths, target, stick))
        _say(f"{name}: credentials kept")
    shown, failed = [], []
    for target in machine.targets:
        there = has_credentials(machine.paths, target)
        needed = needs_credentials(target)
        access, good = _access(machine, target) if try_ else (None, True)
        if not good:
            failed.append(target.name)
        found = {"name": target.name, "repository": target.repository}
        shown.append({**found, "credentials": there, "needed": needed, "access": access})
        if not as_json:
            text = "credentials kept" if there else "NO CREDENTIALS" if needed else "none needed"
            click.echo(f"{target.name}  {target.repository}  {access or text}")
    if not shown and not as_json:
        from firstboot.backup.targets import ADD_HINT

        click.echo(f"There are no targets. {ADD_HINT}")
    _end(shown, failed, as_json)


def _access(machine: Machine, target: BackupTarget) -> tuple[str, bool]:
    """Whether a target lets us in, in words."""
    from firstboot.backup.targets import opened
    from firstboot.base.errors import MailsteadError

    try:
        with opened(machine.paths, machine.settings.backup, target) as restic:
            return ("has a repository" if restic.exists() else "has no repository yet"), True
    except MailsteadError as error:
        return f"{error.message} {error.hint}".strip(), False


@click.command()
@_json_option
def automatic(as_json: bool) -> None:
    """Make the backups and test restores that are due.

    Run by a timer. Says in one line what it decides; that something fails is no error here, since
    it is tried again an hour later, and the owner is told when it goes on for too long.
    """
    from firstboot.backup.automatic import automatic as run_automatic
    from firstboot.backup.automatic import warn
    from firstboot.base.notices import send_notices_or_wait
    from firstboot.system.console import find_consoles
    from firstboot.system.resticerrors import BackupError

    machine, lines = _machine(), list[str]()

    def report(line: str) -> None:
        lines.append(line)
        _say(line)

    done = False
    try:
        with _alone("a backup"):
            done = run_automatic(machine, report)
    except BackupError as error:
        report(f"no backup now: {error} {error.hint}".strip())
    told = warn(machine)
    for line in told:
        find_consoles().say(line)
    if told:
        send_notices_or_wait(machine.paths)
    if as_json:
        click.echo(_dump({"ok": True, "done": done, "decision": lines[-1], "warned": list(told)}))


MAKING = (now, list_, verify, schedule, targets, automatic)


def _machine() -> Machine:
    from firstboot.backup.engine import read_machine

    return read_machine(Paths())


def _chosen(machine: Machine, names: tuple[str, ...]) -> tuple[BackupTarget, ...]:
    """The targets that are named, or all; BackupError when there are none."""
    from firstboot.backup.targets import ADD_HINT, find_target
    from firstboot.system.resticerrors import BackupError

    if not machine.targets:
        raise BackupError("the settings name no targets for backups", ADD_HINT)
    backup = machine.settings.backup
    return tuple(find_target(backup, name) for name in dict.fromkeys(names)) or machine.targets


@contextmanager
def _alone(what: str) -> Iterator[None]:
    """Hold the lock that upgrades respect; ended by SIGTERM as by Ctrl-C, tidily."""
    from firstboot.system.maintenance import maintenance
    from firstboot.system.resticerrors import BackupError

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with maintenance(Paths().maintenance_lock, what, BackupError):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(shown: list[dict[str, Any]], failed: list[str], as_json: bool) -> None:
    """Print the result, and end with exit code 17 when something has failed."""
    from firstboot.system.resticerrors import BackupError

    if as_json:
        click.echo(_dump({"ok": not failed, "targets": shown}))
        if failed:
            raise click.exceptions.Exit(BackupError.exit_code)
    elif failed:
        raise BackupError(f"it did not work with {', '.join(failed)}; see above")


def _say(line: str) -> None:
    click.echo(line, err=True)


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)

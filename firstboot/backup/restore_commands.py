"""The verb `mailstead backup restore`.

Imports what it needs when it runs, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from firstboot.backup.folder import Wanted
    from firstboot.backup.opening import Repository
    from firstboot.backup.plan import Plan
    from firstboot.base.paths import Paths
    from firstboot.system.restic import Restic, Snapshot

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PLACES = "s3:…, sftp:…, rest:…, rclone:…, disk:LABEL, /folder"


@click.command()
@click.argument("snapshot", default="latest", required=False)
@click.option(
    "--from",
    "repository",
    metavar="REPOSITORY",
    help="Where the backups are: s3:…, sftp:…, rest:…, rclone:…, disk:LABEL, a folder, or the name "
    "of a target of this machine.",
)
@click.option("--access", type=FILE, help="File with what it takes to get in there.")
@click.option("--code", "code_file", type=FILE, help="File with the recovery code.")
@click.option(
    "--only",
    metavar="WHAT",
    default="",
    help="Only the mail of this address, or settings, ssh, dkim, certificates, credentials.",
)
@click.option(
    "--folder",
    metavar="NAME",
    help="With --only ADDRESS: one mail folder, which comes back beside what is there.",
)
@click.option("--list", "only_list", is_flag=True, help="Show the backups that there are.")
@click.option("--cancel", is_flag=True, help="Forget what is not put in place yet.")
@click.option("--yes", metavar="NAME", help="The machine's name, or WHAT of --only; does not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def restore(
    *,
    snapshot: str,
    repository: str | None,
    access: Path | None,
    code_file: Path | None,
    only: str,
    folder: str | None,
    only_list: bool,
    cancel: bool,
    yes: str | None,
    as_json: bool,
) -> None:
    """Bring back what a backup holds, as it was at a point in time.

    SNAPSHOT is `latest`, the beginning of an id, or a time such as 2026-11-24T10:00: then it is the
    last backup before that. What is not given is asked for; the recovery code is on the kit.

    All of it is fetched and compared first, and put in place by the next start of the machine.
    Until then nothing changes, and --cancel forgets it. A restore that was interrupted goes on
    with what it has when it is begun again.

    On a machine that is set up, everything that came after the backup is lost: new mail, changed
    passwords and settings. So its name has to be typed.

    One mail folder (--folder) waits for its owner's next login, and is then put beside the present
    one: nothing is lost, and no restart is needed.
    """
    if folder is not None and "@" not in only:
        raise click.UsageError("--folder wants --only ADDRESS: whose folder it is")
    from firstboot.backup.folder import Wanted
    from firstboot.backup.opening import open_repository
    from firstboot.base.errors import MachineError
    from firstboot.base.paths import Paths
    from firstboot.system.maintenance import maintenance

    paths = Paths()
    with maintenance(paths.maintenance_lock, "a restore", MachineError):
        if cancel:
            _cancel(paths, as_json=as_json)
            return
        chosen_place = _repository(paths, repository, access, code_file)
        with open_repository(paths, chosen_place) as found:
            restic = found.entered()
            snapshots = restic.snapshots()
            if only_list:
                _show(snapshots, as_json=as_json)
                return
            chosen = _choose(snapshots, snapshot, asked=repository is None)
            if folder is not None:
                _restore_folder(restic, chosen, paths, Wanted(only, folder), as_json=as_json)
                return
            plan = _prepare(restic, chosen, paths, only=only, yes=yes)
    _tell(plan, paths, as_json=as_json)


def _prepare(restic: Restic, chosen: Snapshot, paths: Paths, *, only: str, yes: str | None) -> Plan:
    from firstboot.backup.restore import prepare_restore

    if paths.settings.exists():
        _agree(chosen, paths, only, yes)
    return prepare_restore(
        restic,
        chosen,
        paths,
        only=only,
        report=lambda line: click.echo(f"restore: {line}", err=True),
    )


def _restore_folder(
    restic: Restic, chosen: Snapshot, paths: Paths, wanted: Wanted, *, as_json: bool
) -> None:
    from firstboot.backup.folder import restore_folder
    from firstboot.base.settings import require_settings

    require_settings(paths.settings)
    target = restore_folder(
        restic,
        chosen,
        paths,
        wanted,
        report=lambda line: click.echo(f"restore: {line}", err=True),
    )
    if as_json:
        found = {"snapshot": chosen.id, "time": chosen.time, "folder": target}
        click.echo(json.dumps({"ok": True, **found, "at_next_login": True}, indent=2))
        return
    click.echo(f"The folder of {chosen.time[:19].replace('T', ' ')} waits for {wanted.address}.")
    click.echo("What is missing now comes with the next login of a mail program, in the folder")
    click.echo(f"  {target}")
    click.echo("A mail in the inbox tells what came of it.")


def _agree(chosen: Snapshot, paths: Paths, only: str, yes: str | None) -> None:
    """Have the name of what is replaced typed."""
    from firstboot.base.errors import MachineError
    from firstboot.base.settings import require_settings

    name = only or require_settings(paths.settings).hostname
    if yes is None:
        everything = "ALL mail, settings and passwords"
        what = f"the mail of {only}" if "@" in only else only or everything
        click.echo(f"This puts {what} back to {chosen.time}. What came later is lost.", err=True)
        yes = str(click.prompt(f"Type {name} to go on", default="", show_default=False, err=True))
    if yes.strip().lower() != name.lower():
        raise MachineError(f"that is not {name}", "Nothing was changed.")


def _repository(
    paths: Paths, given: str | None, access: Path | None, code_file: Path | None
) -> Repository:
    """What was given or is asked for; of a target of this machine all is known."""
    from firstboot.backup.credentials import question, typed
    from firstboot.backup.opening import Repository
    from firstboot.backup.targets import target_repository
    from firstboot.base.backupplaces import kind_of
    from firstboot.base.settings import read_settings

    settings = read_settings(paths.settings)
    targets = {target.name: target for target in settings.backup.targets} if settings else {}
    place = given or _ask(f"Where are the backups ({', '.join([_PLACES, *targets])})")
    if place in targets and access is None and code_file is None:
        return target_repository(paths, targets[place])
    place = targets[place].repository if place in targets else place
    credentials = access.read_text(encoding="utf-8") if access is not None else ""
    try:
        kind = kind_of(place)
    except ValueError:
        raise click.UsageError(f"expected a place such as {_PLACES}, got {place!r}") from None
    if access is None and given is None and question(kind):
        credentials = typed(kind, _ask(question(kind), secret=True))
    return Repository(place, _code(paths, code_file), credentials)


def _code(paths: Paths, code_file: Path | None) -> bytes:
    """The recovery code; on a machine that has backups of its own, its own password."""
    from firstboot.backup.keys import repository_password
    from firstboot.base.codes import read_recovery_code
    from firstboot.base.errors import MachineError

    if code_file is None and paths.settings.exists() and paths.backup_password.exists():
        return repository_password(paths)
    given = code_file.read_text(encoding="utf-8") if code_file else _ask("Recovery code of the kit")
    code = read_recovery_code(given)
    if code is None:
        raise MachineError(
            "that is not a recovery code, or there is a slip in it",
            "It is on the recovery kit: seven groups of four letters and digits.",
        )
    return code.encode()


def _ask(question: str, *, secret: bool = False) -> str:
    if not sys.stdin.isatty():
        line = sys.stdin.readline().strip()
        if not line:
            raise click.UsageError(f"expected a line on standard input: {question}")
        return line
    return str(click.prompt(question, hide_input=secret, err=True)).strip()


def _choose(snapshots: list[Snapshot], wanted: str, *, asked: bool) -> Snapshot:
    from firstboot.backup.restore import LATEST, choose_snapshot

    if asked and wanted == LATEST and sys.stdin.isatty() and len(snapshots) > 1:
        for found in snapshots[-10:]:
            click.echo(_line(found), err=True)
        wanted = str(click.prompt("Which one", default=LATEST, err=True))
    return choose_snapshot(snapshots, wanted.strip())


def _show(snapshots: list[Snapshot], *, as_json: bool) -> None:
    if as_json:
        listed = [{"id": found.id, "time": found.time, "host": found.host} for found in snapshots]
        click.echo(json.dumps({"ok": True, "snapshots": listed}, indent=2))
        return
    click.echo("\n".join(_line(found) for found in snapshots) or "no backups")


def _line(found: Snapshot) -> str:
    return f"{found.short}  {found.time[:19].replace('T', ' ')}  {found.host}"


def _cancel(paths: Paths, *, as_json: bool) -> None:
    import shutil

    from firstboot.backup.folder import drop_folders
    from firstboot.backup.plan import drop_plan
    from firstboot.base.errors import MachineError

    if paths.held_settings.exists():
        raise MachineError("the restore is being put in place already", "Restart the machine.")
    if paths.restore.exists():
        drop_plan(paths)
        shutil.rmtree(paths.restore, ignore_errors=True)
    drop_folders(paths)
    text = "no restore is under way any more; nothing was changed"
    click.echo(json.dumps({"ok": True}) if as_json else text)


def _tell(plan: Plan, paths: Paths, *, as_json: bool) -> None:
    waits = paths.settings.exists()
    if as_json:
        found = {"snapshot": plan.snapshot, "time": plan.time, "what": plan.what}
        click.echo(json.dumps({"ok": True, **found, "at_next_start": waits}, indent=2))
        return
    click.echo(f"{plan.what} of {plan.time[:19].replace('T', ' ')} is fetched and compared.")
    if waits:
        click.echo("Restart to put it in place: mailstead power restart")
        click.echo("To leave things as they are: mailstead backup restore --cancel")
    else:
        click.echo("The machine puts it in place now; the console shows how it goes on.")

"""The verbs below `mailstead vault`: whose mailbox, where to, and what came of it.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.vaults.mailbox import RemoteMailbox

F = TypeVar("F", bound=Callable[..., Any])

_path = click.Path(path_type=Path)


@click.group()
def vault() -> None:
    """Check a person's mail, take it out, or bring mail in.

    ADDRESS is the person's main address. Each command asks for that person's password; where there
    is no terminal, it reads it as one line from standard input. Nobody else's password opens a
    vault, not the administrator's either.

    All of it can be stopped at any instant and goes on when it is run again. Exit code 15 says that
    something failed, or that a vault is damaged.
    """


def _json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


@vault.command()
@click.argument("address")
@_json_option
def check(address: str, as_json: bool) -> None:
    """Look at everything in a vault: structures, every message, numbers, attachments.

    A changed byte anywhere does not decrypt, and shows. The person can go on working meanwhile.
    Changes nothing.
    """
    from firstboot.vaults.check import check_vault
    from firstboot.vaults.errors import VaultError

    with _mailbox(address) as box:
        result = check_vault(box, _progress)
    if as_json:
        click.echo(json.dumps({"bytes": result.done, "problems": list(result.problems)}, indent=2))
    else:
        for problem in result.problems:
            click.echo(f"problem  {problem}")
        click.echo(f"{'damaged' if result.problems else 'whole'}  {result.done} bytes looked at")
    if result.problems:
        sys.exit(VaultError.exit_code)


@vault.command()
@click.argument("address")
@click.argument("target", type=_path)
@click.option(
    "--format",
    "form",
    type=click.Choice(["maildir", "mbox", "eml"]),
    default="maildir",
    show_default=True,
    help="maildir keeps flags, and every byte; eml keeps every byte; mbox neither.",
)
@_json_option
def export(address: str, target: Path, form: str, as_json: bool) -> None:
    """Write all of a person's mail into the directory TARGET.

    The files are not encrypted. Run again, it writes what is new since; what was deleted meanwhile
    stays in TARGET.
    """
    from firstboot.vaults.export import export_mailbox

    with _mailbox(address) as box:
        result = export_mailbox(box, address, target, form, _progress)
    if as_json:
        click.echo(json.dumps({"written": result.written, "before": result.before}, indent=2))
        return
    click.echo(f"written  {result.written} messages to {target} ({result.before} before)")


@vault.command("import")
@click.argument("address")
@click.argument("source", type=_path)
@click.option("--folder", help="Put all into this folder.  [default: the folders of SOURCE]")
@click.option(
    "--record",
    type=_path,
    help="Where to note how far it is.  [default: beside SOURCE, as SOURCE.mailstead-import]",
)
@_json_option
def import_(
    address: str, source: Path, folder: str | None, record: Path | None, as_json: bool
) -> None:
    """Bring mail in: a Maildir, an mbox or EML file, or a directory with *.mbox and *.eml files.

    Folders are made where they are missing. What is larger than a message may be, or empty, is left
    out and named. When the mailbox is full the import stops; make room and run it again.
    """
    from firstboot.vaults.importing import import_mail
    from firstboot.vaults.journal import Journal

    source = source.absolute()
    path = record or source.with_name(source.name + ".mailstead-import")
    with _mailbox(address) as box:
        journal = Journal(path, f"import of {source} for {address}")
        result = import_mail(box, source, journal, folder, _progress)
    if as_json:
        click.echo(json.dumps(vars(result), indent=2))
        return
    for text in result.left_out:
        click.echo(f"left out  {text}")
    click.echo(f"brought in  {result.written} messages ({result.before} before)")


@contextlib.contextmanager
def _mailbox(address: str) -> Iterator[RemoteMailbox]:
    from firstboot.base.roundtrip import Account, trusting
    from firstboot.base.services import read_stack
    from firstboot.base.settings import require_settings
    from firstboot.vaults.errors import VaultError
    from firstboot.vaults.mailbox import opened_mailbox

    paths = Paths()
    settings, stack = require_settings(paths.settings), read_stack(paths.services)
    if address.lower() not in {person.address for person in settings.people}:
        raise VaultError(f"nobody has the address {address}", "Name a person's main address.")
    try:
        context = trusting(paths.certificate)
    except (OSError, ValueError) as error:
        raise VaultError(f"the certificate {paths.certificate} cannot be read: {error}") from None
    account = Account(
        hostname=settings.hostname,
        address=address,
        password=_password(address),
        submission=stack.port("submission").published,
        imaps=stack.port("imaps").published,
        context=context,
    )
    with opened_mailbox(account) as box:
        yield box


def _password(address: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(f"Password of {address}", hide_input=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _progress(text: str) -> None:
    click.echo(text, err=True)

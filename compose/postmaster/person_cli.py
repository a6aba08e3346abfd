"""`postmaster person`: what an operator does about people, in the container of `directory`.

Secrets come on standard input, a line each; nothing secret stands on the command line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from postmaster.directory.desk import SCOPES, ask
from postmaster.errors import AccountError

# The container has nothing else that can be written to: a tmpfs of its own, for one user.
CONTROL = Path("/tmp/control")  # noqa: S108


@click.group()
@click.option("--control", "socket", type=click.Path(path_type=Path), default=CONTROL, hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def person(context: click.Context, socket: Path, as_json: bool) -> None:
    """Look after people's passwords and keys.

    Each secret is a line of standard input, in the order that the command's help gives.
    """
    context.obj = _Desk(socket, as_json)


class _Desk:
    """Asks the directory, and prints the answer in one of two ways."""

    def __init__(self, socket: Path, as_json: bool) -> None:
        self._socket = socket
        self.as_json = as_json

    def ask(self, **request: Any) -> Mapping[str, Any]:
        try:
            return ask(self._socket, request)
        except AccountError as error:
            if self.as_json:
                found = {"ok": False, "error": error.message, "hint": error.hint}
                click.echo(json.dumps(found))
            else:
                click.echo(f"ERROR {error}", err=True)
            sys.exit(error.exit_code)

    def tell(self, found: Mapping[str, Any], text: str) -> None:
        click.echo(json.dumps({"ok": True, **found}) if self.as_json else text)


def _secrets(count: int) -> list[str]:
    lines = [sys.stdin.readline().rstrip("\r\n") for _ in range(count)]
    if not all(lines):
        _usage(f"expected {count} lines on standard input")
    return lines


def _usage(text: str) -> NoReturn:
    raise click.UsageError(text)


@person.command("list")
@click.pass_obj
def list_people(desk: _Desk) -> None:
    """Show who there is, and how each one's mail is locked."""
    found = desk.ask(op="list")
    lines = [
        f"{entry['address']}  {entry['state']}"
        f"  recovery code: {'yes' if entry['recovery_code'] else 'no'}"
        f"  app passwords: {entry['app_passwords']}"
        + (f"  sealed vaults: {entry['sealed']}" if entry["sealed"] else "")
        + ("  second factor" if entry["second_factor"] else "")
        for entry in found["people"]
    ]
    desk.tell(found, "\n".join(lines))


@person.command()
@click.argument("address")
@click.option("--reset", is_flag=True, help="Without the old one: old mail stays sealed.")
@click.pass_obj
def password(desk: _Desk, address: str, reset: bool) -> None:
    """Set a new password.

    Standard input: the present password or the recovery code, then the new password. With --reset
    the new password only: the person's mail so far then stays sealed until `unlock-old`.
    """
    if reset:
        found = desk.ask(op="reset", person=address, new=_secrets(1)[0])
        text = "set; the mail so far is sealed" if found["sealed"] else "set; no mail was sealed"
    else:
        secret, new = _secrets(2)
        found, text = desk.ask(op="password", person=address, secret=secret, new=new), "changed"
    desk.tell(found, text)


@person.command("recovery-code")
@click.argument("address")
@click.pass_obj
def recovery_code(desk: _Desk, address: str) -> None:
    """Make a recovery code and show it, this once; the one before opens nothing any more.

    Standard input: the password.
    """
    found = desk.ask(op="recovery-code", person=address, secret=_secrets(1)[0])
    desk.tell(found, str(found["code"]))


@person.command("unlock-old")
@click.argument("address")
@click.pass_obj
def unlock_old(desk: _Desk, address: str) -> None:
    """Have mail that a reset left sealed moved in at the person's next login.

    Standard input: the recovery code or password of that time.
    """
    found = desk.ask(op="unlock-old", person=address, secret=_secrets(1)[0])
    desk.tell(found, "the next login moves it in")


@person.command("second-factor-remove")
@click.argument("address")
@click.pass_obj
def remove_second_factor(desk: _Desk, address: str) -> None:
    """Remove the second factor of somebody who has lost it: the password is enough again."""
    desk.tell(desk.ask(op="second-factor-remove", person=address), "removed")


@person.command()
@click.argument("address")
@click.pass_obj
def vaults(desk: _Desk, address: str) -> None:
    """Show the ids of the vaults of somebody who is not in the settings any more."""
    found = desk.ask(op="vaults", person=address)
    desk.tell(found, "\n".join(found["vaults"]))


@person.command()
@click.argument("address")
@click.pass_obj
def destroy(desk: _Desk, address: str) -> None:
    """Destroy every key of somebody who is not in the settings any more, at once.

    Remove the files of the vaults before (`vaults` shows which): nobody can open them afterwards.
    """
    desk.tell(desk.ask(op="destroy", person=address), "destroyed")


@person.command()
@click.argument("address")
@click.option("--from", "client", required=True, help="The IP address of who says so.")
@click.pass_obj
def prove(desk: _Desk, address: str, client: str) -> None:
    """Say whether this is the person's own password, with the limits of a login.

    Standard input: the password.
    """
    found = desk.ask(op="prove", person=address, secret=_secrets(1)[0], address=client)
    desk.tell(found, str(found["verdict"]))


@person.command("open")
@click.argument("address")
@click.option("--from", "client", required=True, help="The IP address of who says so.")
@click.option("--for", "purpose", type=click.Choice(["count", "export"]), required=True)
@click.pass_obj
def open_vault(desk: _Desk, address: str, client: str, purpose: str) -> None:
    """Make a pass with which the mail store opens the person's vault, once and soon.

    With the limits of a login. Standard input: the person's own password.
    """
    secret = _secrets(1)[0]
    found = desk.ask(op="open", person=address, secret=secret, address=client, purpose=purpose)
    desk.tell(found, str(found["pass"] or found["verdict"]))


@person.command()
@click.pass_obj
def reread(desk: _Desk) -> None:
    """Take the settings as they are now; nobody's session ends."""
    found = desk.ask(op="reread")
    desk.tell(found, f"{found['people']} people")


@person.group("app-password")
def app_password() -> None:
    """Passwords for single programs, each with what it may do."""


@app_password.command("add")
@click.argument("address")
@click.option("--label", required=True, help="Which program it is for.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), required=True)
@click.pass_obj
def add_app(desk: _Desk, address: str, label: str, scopes: tuple[str, ...]) -> None:
    """Make one and show it, this once. Standard input: the person's password."""
    found = desk.ask(
        op="app-add", person=address, secret=_secrets(1)[0], label=label, scopes=list(scopes)
    )
    desk.tell(found, str(found["password"]))


@app_password.command("list")
@click.argument("address")
@click.pass_obj
def list_apps(desk: _Desk, address: str) -> None:
    """Show them: id, label, scopes, last use."""
    found = desk.ask(op="app-list", person=address)
    lines = [
        f"{app['id']}  {app['label']}  {'+'.join(app['scopes'])}  {_day(app['last_use'])}"
        for app in found["app_passwords"]
    ]
    desk.tell(found, "\n".join(lines) or "none")


@app_password.command("revoke")
@click.argument("address")
@click.argument("app_id", metavar="ID")
@click.pass_obj
def revoke_app(desk: _Desk, address: str, app_id: str) -> None:
    """Take one away."""
    desk.tell(desk.ask(op="app-revoke", person=address, id=app_id), "revoked")


def _day(seconds: int | None) -> str:
    if seconds is None:
        return "never used"
    return time.strftime("last used %Y-%m-%d %H:%M UTC", time.gmtime(seconds))

"""The verbs below `mailstead user`.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from firstboot.people.changing import add_user, apply_users, change_user, forward_user, leave_user
from firstboot.people.desk import Desk

SCOPES = ("mail", "dav", "send")
RESET_WARNING = """\
Without the old password or the recovery code, nobody can open the mail that {address} has so far.
It stays, sealed, until {address} gives one of them: `mailstead user unlock-old {address}`.
New mail, under the new password, begins with an empty mailbox. App passwords stop working."""


REMOVE_WARNING = """\
This destroys all mail of {address} on this machine, {size} in {count} files, and every key of it.
Nobody can bring it back from here: no password, no recovery code. In backups that were made before
it is until they expire, locked under the person's password."""


@click.group()
def user() -> None:
    """Who there is; passwords, app passwords, recovery codes.

    Who there is stands in the settings (`mailstead settings`); `add`, `change`, `forward` and
    `leave` change it there, and at once where the services run. A person's mail is locked under the
    password: nobody can look it up, and without it or the recovery code nobody gets at the mail.

    Passwords are asked for; where there is no terminal, each is read as a line from standard input,
    in the order in which they would be asked for.
    """


for _command in (add_user, change_user, forward_user, leave_user, apply_users):
    user.add_command(_command)


def _desk() -> Desk:
    from firstboot.base.compose import PROJECT
    from firstboot.base.engine import Engine
    from firstboot.people.desk import ContainerDesk

    return ContainerDesk(Engine(), PROJECT)


def _secret(prompt: str, *, new: bool = False) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, confirmation_prompt=new))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.UsageError(f"expected a line on standard input: {prompt.lower()}")
    return line


def _tell(found: Mapping[str, Any], lines: Sequence[str], *, as_json: bool) -> None:
    click.echo(json.dumps({"ok": True, **found}, indent=2) if as_json else "\n".join(lines))


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@user.command("list")
@_json
def list_people(as_json: bool) -> None:
    """Show who there is, and how the mail of each is locked."""
    found = _desk().ask(("list",))
    lines = []
    for person in found["people"]:
        notes = [person["state"], f"{person['app_passwords']} app passwords"]
        notes.append("recovery code" if person["recovery_code"] else "no recovery code")
        if person.get("second_factor"):
            notes.append("second factor")
        if person["sealed"]:
            notes.append("has sealed mail")
        lines.append(f"{person['address']}: {', '.join(notes)}")
    lines += [f"{address}: not in the settings any more" for address in found.get("left", ())]
    _tell(found, lines, as_json=as_json)


@user.command()
@click.argument("address")
@click.option("--reset", is_flag=True, help="Without the old one: the mail so far stays sealed.")
@click.option("--yes", is_flag=True, help="With --reset: do not ask whether it is meant.")
@_json
def password(address: str, reset: bool, yes: bool, as_json: bool) -> None:
    """Set a new password for ADDRESS.

    Asks for the present password, or the recovery code, then for the new one. With --reset it asks
    for the new one only: the person's mail so far then stays sealed until `unlock-old`.
    """
    desk = _desk()
    if not reset:
        secrets = (_secret("Present password or recovery code"), _secret("New password", new=True))
        _tell(
            desk.ask(("password", address), secrets), ["the password is changed"], as_json=as_json
        )
        return
    if not yes:
        click.echo(RESET_WARNING.format(address=address), err=True)
        if not sys.stdin.isatty():
            raise click.UsageError("--reset wants --yes where nobody can be asked")
        click.confirm("Set a new password all the same?", abort=True)
    found = desk.ask(("password", address, "--reset"), (_secret("New password", new=True),))
    text = "the password is set; " + (
        "the mail so far is sealed" if found["sealed"] else "no mail had to be sealed"
    )
    _tell(found, [text], as_json=as_json)


@user.command("recovery-code")
@click.argument("address")
@_json
def recovery_code(address: str, as_json: bool) -> None:
    """Make a recovery code for ADDRESS and show it, this once.

    It opens the mail when the password is lost. The one before opens nothing any more. Asks for the
    password.
    """
    found = _desk().ask(("recovery-code", address), (_secret("Password"),))
    note = "Write it down, and keep it where your passwords are not. It is not shown again."
    _tell(found, [str(found["code"]), note], as_json=as_json)


@user.command("unlock-old")
@click.argument("address")
@_json
def unlock_old(address: str, as_json: bool) -> None:
    """Bring back mail that `password --reset` has left sealed.

    Asks for the recovery code or the password of that time. The next login moves the mail in.
    """
    secrets = (_secret("Recovery code or old password"),)
    found = _desk().ask(("unlock-old", address), secrets)
    _tell(found, [f"the next login of {address} moves the old mail in"], as_json=as_json)


@user.command("second-factor-remove")
@click.argument("address")
@_json
def remove_second_factor(address: str, as_json: bool) -> None:
    """Remove the second factor of ADDRESS, who has lost it.

    The password alone signs in at the web pages again, and works in mail programs. Make sure first
    that it is ADDRESS who asks for this.
    """
    from firstboot.base.audit import noted
    from firstboot.base.paths import Paths

    with noted(Paths(), "people.second-factor-remove", address):
        found = _desk().ask(("second-factor-remove", address))
    _tell(found, [f"{address} has no second factor any more"], as_json=as_json)


@user.command()
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@_json
def remove(address: str, yes: bool, as_json: bool) -> None:
    """Destroy the mail and the keys of ADDRESS, who is not in the settings any more.

    Says first what is lost, and wants the address typed again. Taking somebody out of the settings
    alone destroys nothing: put back, the person has everything again.
    """
    from firstboot.base.paths import Paths
    from firstboot.people.desk import PersonError
    from firstboot.people.remove import destroy, files_of, require_left

    paths, desk = Paths(), _desk()
    require_left(paths, address)
    kept = desk.ask(("vaults", address))
    files = files_of(paths, kept["vaults"])
    if not kept["known"] and not files:
        raise PersonError(f"nothing is kept of {address}", "`mailstead user list` shows who left.")
    if not yes:
        size = sum(file.stat().st_size for file in files) / (1 << 20)
        words = REMOVE_WARNING.format(address=address, size=f"{size:.1f} MiB", count=len(files))
        click.echo(words, err=True)
        if not sys.stdin.isatty():
            raise click.UsageError("it wants --yes where nobody can be asked")
        if click.prompt("Type the address to destroy all of it", err=True) != address:
            raise PersonError("this is another address: nothing was destroyed")
    count = destroy(paths, desk, address, kept["vaults"])
    _tell({"files": count}, [f"the mail and the keys of {address} are destroyed"], as_json=as_json)


@user.group("app-password")
def app_password() -> None:
    """Passwords for single programs.

    Each is made by the machine, works for what it is for and nothing else, and can be taken away
    without touching the others.
    """


@app_password.command("add")
@click.argument("address")
@click.option("--label", required=True, help="Which program it is for, such as 'phone'.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("mail", "send"),
    show_default=True,
    help="What it is for; may be given more than once.",
)
@_json
def add_app(address: str, label: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make an app password for ADDRESS and show it, this once. Asks for the password."""
    words = ["app-password", "add", address, "--label", label]
    for scope in scopes:
        words += ["--scope", scope]
    found = _desk().ask(words, (_secret("Password"),))
    _tell(found, [str(found["password"]), "It is not shown again."], as_json=as_json)


@app_password.command("list")
@click.argument("address")
@_json
def list_apps(address: str, as_json: bool) -> None:
    """Show the app passwords of ADDRESS: id, label, what they are for, last use."""
    found = _desk().ask(("app-password", "list", address))
    lines = [
        f"{app['id']}  {app['label']}  {'+'.join(app['scopes'])}  {_last_use(app['last_use'])}"
        for app in found["app_passwords"]
    ]
    _tell(found, lines or [f"{address} has no app passwords"], as_json=as_json)


@app_password.command("revoke")
@click.argument("address")
@click.argument("app_id", metavar="ID")
@_json
def revoke_app(address: str, app_id: str, as_json: bool) -> None:
    """Take the app password ID of ADDRESS away."""
    found = _desk().ask(("app-password", "revoke", address, app_id))
    _tell(found, [f"{app_id} does not work any more"], as_json=as_json)


def _last_use(seconds: int | None) -> str:
    if seconds is None:
        return "never used"
    return time.strftime("last used %Y-%m-%d %H:%M UTC", time.gmtime(seconds))

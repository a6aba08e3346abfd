"""`mailstead user add|change|leave`, `mailstead domain`, `mailstead alias`: who there is.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from firstboot.people.office import Office

F = TypeVar("F", bound=Callable[..., Any])

_QUOTA_HELP = "How much mail: 500M, 10G, none; default: as everybody."


def _json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def _office() -> Office:
    from firstboot.base.engine import Engine
    from firstboot.base.paths import Paths
    from firstboot.people.office import Office

    return Office(Paths(), Engine())


@click.command("add")
@click.argument("address")
@click.option("--name", default="", help="The person's name.")
@click.option("--alias", "aliases", multiple=True, help="A further address; may be given again.")
@click.option("--quota", help=_QUOTA_HELP)
@_json
def add_user(
    address: str, name: str, aliases: tuple[str, ...], quota: str | None, as_json: bool
) -> None:
    """Give somebody a mailbox.

    Asks for a first password, of at least 10 characters; the person changes it. Somebody who left
    and comes back with the same address has everything again, under the password of that time.
    """
    when = _office().add(address, _new_password(), name, aliases, quota)
    _tell({"address": address.lower()}, f"{address} is added. {when}", as_json=as_json)


@click.command("change")
@click.argument("address")
@click.option("--name", help="Another name.")
@click.option("--quota", help=_QUOTA_HELP)
@_json
def change_user(address: str, name: str | None, quota: str | None, as_json: bool) -> None:
    """Give ADDRESS another name or quota.

    For aliases there is `mailstead alias`, for the password `user password`.
    """
    if name is None and quota is None:
        raise click.UsageError("expected --name or --quota")
    when = _office().change(address, name, quota)
    _tell({"address": address.lower()}, f"{address} is changed. {when}", as_json=as_json)


@click.command("forward")
@click.argument("address")
@click.argument("to", nargs=-1)
@click.option("--none", "stop", is_flag=True, help="Send copies to nobody any more.")
@_json
def forward_user(address: str, to: tuple[str, ...], stop: bool, as_json: bool) -> None:
    """Send copies of ADDRESS's mail TO addresses elsewhere, and to none but these.

    The mail stays here as well. Likely spam is not sent on.
    """
    if bool(to) == stop:
        raise click.UsageError("expected addresses, or --none")
    when = _office().forward(address, to)
    text = f"copies for {address} go to {', '.join(to) or 'nobody'}. {when}"
    found = {"address": address.lower(), "forward_to": [each.lower() for each in to]}
    _tell(found, text, as_json=as_json)


@click.command("leave")
@click.argument("address")
@_json
def leave_user(address: str, as_json: bool) -> None:
    """Take ADDRESS out: no login, no mail any more.

    Destroys nothing: added again, the person has everything again. `user remove` destroys it.
    """
    when = _office().leave(address)
    note = "Mail and keys are kept; `mailstead user remove` destroys them."
    _tell({"address": address.lower()}, f"{address} is taken out. {when}\n{note}", as_json=as_json)


@click.command("apply", hidden=True)
@_json
def apply_users(as_json: bool) -> None:
    """Let the services take who there is in the settings."""
    when = _office().apply()
    _tell({"when": when}, when, as_json=as_json)


@click.group()
def domain() -> None:
    """Domains that this machine receives mail for."""


@domain.command("list")
@_json
def list_domains(as_json: bool) -> None:
    """Show the domains, and how many addresses are in each."""
    found = _office().domains()
    plain = [{"name": name, "addresses": list(addresses)} for name, addresses in found]
    lines = [f"{name}: {len(addresses)} addresses" for name, addresses in found]
    _tell({"domains": plain}, "\n".join(lines), as_json=as_json)


@domain.command("add")
@click.argument("name")
@_json
def add_domain(name: str, as_json: bool) -> None:
    """Receive mail for NAME, and sign what is sent from it.

    Others find the machine when the records are published that `mailstead dns show` shows.
    """
    when = _office().add_domain(name)
    note = f"Publish its records: mailstead dns show --domain {name.lower()}"
    _tell({"name": name.lower()}, f"{name} is added. {when}\n{note}", as_json=as_json)


@domain.command("remove")
@click.argument("name")
@_json
def remove_domain(name: str, as_json: bool) -> None:
    """Receive no more mail for NAME, in which nobody may have an address any more."""
    when = _office().remove_domain(name)
    _tell({"name": name.lower()}, f"{name} is removed. {when}", as_json=as_json)


@click.group()
def alias() -> None:
    """Further addresses of people."""


@alias.command("list")
@_json
def list_aliases(as_json: bool) -> None:
    """Show every alias, and whose it is."""
    pairs = [(known, person.address) for person in _office().people() for known in person.aliases]
    plain = [{"alias": known, "person": address} for known, address in pairs]
    lines = [f"{known}: {address}" for known, address in pairs]
    _tell({"aliases": plain}, "\n".join(lines) or "There are no aliases.", as_json=as_json)


@alias.command("add")
@click.argument("alias_", metavar="ALIAS")
@click.argument("address")
@_json
def add_alias(alias_: str, address: str, as_json: bool) -> None:
    """Let mail for ALIAS go to ADDRESS, who may also send as ALIAS and log in with it."""
    when = _office().add_alias(alias_, address)
    text = f"{alias_} is an alias of {address}. {when}"
    _tell({"alias": alias_.lower(), "person": address.lower()}, text, as_json=as_json)


@alias.command("remove")
@click.argument("alias_", metavar="ALIAS")
@_json
def remove_alias(alias_: str, as_json: bool) -> None:
    """Take ALIAS away from whoever has it."""
    when = _office().remove_alias(alias_)
    _tell({"alias": alias_.lower()}, f"{alias_} is removed. {when}", as_json=as_json)


def _new_password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("First password", hide_input=True, confirmation_prompt=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.UsageError("expected a line on standard input: first password")
    return line


def _tell(found: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    click.echo(json.dumps({"ok": True, **found}, indent=2) if as_json else text)

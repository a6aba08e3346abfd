"""The verbs below `mailstead token`: programs that use the API (docs/api.md).

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from typing_extensions import TypedDict

if TYPE_CHECKING:
    from firstboot.administration.tokens import Token, Tokens

F = TypeVar("F", bound=Callable[..., Any])


class TokenJson(TypedDict):
    """A token, without what it is. Times are RFC 3339, UTC; the last use is right to 5 minutes."""

    id: str
    label: str
    scopes: list[str]
    made: str
    last_use: str | None


def token_json(token: Token) -> TokenJson:
    """A token as `--json` prints it."""
    return {
        "id": token.id,
        "label": token.label,
        "scopes": list(token.scopes),
        "made": token.made,
        "last_use": token.last_use,
    }


def _json(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


@click.group()
def token() -> None:
    """Tokens of programs that use the API."""


@token.command("list")
@_json
def list_tokens(as_json: bool) -> None:
    """Show the tokens: what they are for, and when each was used last."""
    found = [token_json(one) for one in _tokens().all()]
    if as_json:
        click.echo(json.dumps({"ok": True, "tokens": found}, indent=2, ensure_ascii=False))
        return
    for one in found:
        used = f"last used {one['last_use']}" if one["last_use"] else "never used"
        click.echo(f"{one['id']}  {one['label']}  {', '.join(one['scopes'])}  {used}")
    if not found:
        click.echo("There are no tokens.")


@token.command("add")
@click.argument("label")
@click.option(
    "--scope", "scopes", multiple=True, required=True, help="What for; may be given again."
)
@_json
def add_token(label: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Make a token for a program, and show it this once.

    Scopes: status (how the machine is, DNS records), read (people, domains, queue, what became of
    mail, who changed what), people, domains, queue (to change these).
    """
    from firstboot.base.audit import whoever

    made = _tokens().add(label, scopes, whoever())
    if as_json:
        click.echo(json.dumps({"ok": True, "id": made.id, "token": made.token}, indent=2))
    else:
        click.echo(made.token)


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@_json
def revoke_token(token_id: str, as_json: bool) -> None:
    """End a token: it opens nothing any more."""
    from firstboot.base.audit import whoever

    old = _tokens().revoke(token_id, whoever())
    if as_json:
        click.echo(json.dumps({"ok": True, "label": old.label}, indent=2, ensure_ascii=False))
    else:
        click.echo(f"{old.label} is revoked. It opens nothing any more.")


def _tokens() -> Tokens:
    from firstboot.administration.tokens import Tokens
    from firstboot.base.paths import Paths

    return Tokens(Paths())

"""The verbs below `mailstead queue`.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from firstboot.queue.messages import Message
    from firstboot.queue.spool import Spool, Verb

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def queue() -> None:
    """Mail that waits to be delivered: what, why, and what to do.

    Each message has an ID, which `list` shows. What waits is tried again by itself, for five days;
    then its sender gets a report.
    """


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _picking(command: F) -> F:
    """Options by which messages are named: by ID, or all."""
    command = click.option("--all", "everything", is_flag=True, help="All messages.")(command)
    return click.argument("ids", nargs=-1, metavar="ID…")(command)


@queue.command("list")
@_json
def list_messages(as_json: bool) -> None:
    """Show every message, who has not got it yet, and why, in plain words."""
    from firstboot.queue.showing import as_plain, message_lines, summary_line

    found = _spool().messages()
    if as_json:
        click.echo(_dump({"messages": [as_plain(message) for message in found]}))
        return
    for message in found:
        click.echo("\n".join(message_lines(message)))
    click.echo(summary_line(found))


@queue.command()
@click.argument("ids", nargs=-1, metavar="[ID]…")
@_json
def retry(ids: tuple[str, ...], as_json: bool) -> None:
    """Try to deliver messages now: those with an ID that is given, or all.

    Those that are held stay held.
    """
    from firstboot.queue.messages import QueueError
    from firstboot.queue.spool import pick

    spool = _spool()
    found = spool.messages()
    chosen = pick(found, ids) if ids else tuple(one for one in found if not one.is_held)
    held = [message.id for message in chosen if message.is_held]
    if held:
        raise QueueError(
            f"{', '.join(held)}: held, so that it is not tried",
            "Let it go with: mailstead queue release",
        )
    spool.retry(chosen if ids else None)
    _tell("tried now", chosen, len(chosen), as_json=as_json)


@queue.command()
@_picking
@_json
def hold(ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Keep messages from being delivered until they are released.

    They do not get too old meanwhile. One that is older than five days when it is released has one
    try left.
    """
    _change("hold", "held", ids, everything=everything, as_json=as_json)


@queue.command()
@_picking
@_json
def release(ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Let messages that are held be delivered, beginning within a minute."""
    _change("release", "released", ids, everything=everything, as_json=as_json)


@queue.command()
@_picking
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@_json
def delete(ids: tuple[str, ...], everything: bool, yes: bool, as_json: bool) -> None:
    """Delete messages. Nobody gets them, and their senders are not told.

    Shows them first and asks.
    """
    from firstboot.queue.showing import title_line

    spool = _spool()
    chosen = _chosen(spool, ids, everything=everything)
    if chosen and not yes:
        click.echo("\n".join(title_line(message) for message in chosen), err=True)
        if not _is_asked():
            raise click.UsageError("it wants --yes where nobody can be asked")
        click.confirm("Delete for good? Neither sender nor recipient is told", abort=True, err=True)
    _tell("deleted", chosen, spool.change("delete", chosen), as_json=as_json)


def _change(verb: Verb, done: str, ids: Sequence[str], *, everything: bool, as_json: bool) -> None:
    spool = _spool()
    chosen = _chosen(spool, ids, everything=everything)
    # Those that are so already are left alone.
    chosen = tuple(message for message in chosen if message.is_held == (verb == "release"))
    _tell(done, chosen, spool.change(verb, chosen), as_json=as_json)


def _chosen(spool: Spool, ids: Sequence[str], *, everything: bool) -> tuple[Message, ...]:
    from firstboot.queue.spool import pick

    if bool(ids) == everything:
        raise click.UsageError("expected the IDs of messages, or --all")
    found = spool.messages()
    return found if everything else pick(found, ids)


def _is_asked() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


def _spool() -> Spool:
    from firstboot.base.compose import PROJECT
    from firstboot.base.engine import Engine
    from firstboot.queue.spool import Spool

    return Spool(Engine(), PROJECT)


def _tell(done: str, chosen: Sequence[Message], count: int, *, as_json: bool) -> None:
    if as_json:
        click.echo(_dump({"count": count, "ids": [message.id for message in chosen]}))
    else:
        click.echo(f"{count} {'message' if count == 1 else 'messages'} {done}")


def _dump(value: dict[str, Any]) -> str:
    return json.dumps({"ok": True, **value}, indent=2, ensure_ascii=False)

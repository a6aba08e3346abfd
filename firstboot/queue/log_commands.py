"""The verbs below `mailstead log`.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime

import click

_UNITS = {"m": 60, "h": 3600, "d": 86400}
_NOT_FOUND = """\
No such message in the log. If it should have come from elsewhere, it was never brought here, or
before the log begins. Its sender has a report, or will get one; `mailstead check` tells whether
others get in."""


def _since(_context: click.Context, _option: click.Parameter, text: str) -> float:
    """How long ago (90m, 12h, 7d), or a day (2026-11-30), as seconds since 1970."""
    if found := re.fullmatch(r"(\d{1,5})([mhd])", text, re.ASCII):
        return time.time() - int(found[1]) * _UNITS[found[2]]
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise click.BadParameter(
            f"expected such as 90m, 12h, 7d or 2026-11-30, got {text!r}"
        ) from None


@click.group()
def log() -> None:
    """What became of mail, from what was written down about it."""


@log.command()
@click.option("--from", "sender", default="", help="Only from addresses that contain this.")
@click.option("--to", "recipient", default="", help="Only to addresses that contain this.")
@click.option("--since", callback=_since, default="7d", show_default=True, help="90m, 12h, a day.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def search(sender: str, recipient: str, since: float, as_json: bool) -> None:
    """Tell what became of each message, and why, in plain words; the newest last.

    Also of what was refused, and what waits. The log goes back some weeks, or days where there is
    much mail.
    """
    from firstboot.queue.maillog import JournalLog, find_stories
    from firstboot.queue.telling import story_json, story_lines

    found = find_stories(JournalLog(), int(since), sender, recipient).stories
    if as_json:
        shown = {"ok": True, "messages": [story_json(story) for story in found]}
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for story in found:
        click.echo("\n".join(story_lines(story)))
    if not found:
        click.echo(_NOT_FOUND)

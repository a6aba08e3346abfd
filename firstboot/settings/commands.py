"""The verbs below `mailstead settings`: check a file; show and change what the machine keeps.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from firstboot.base.errors import SettingsError
from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.base.change import Change

# In place of a value: it is asked for.
ASKED = "-"

F = TypeVar("F", bound=Callable[..., Any])


@click.group()
def settings() -> None:
    """Show, change or check settings.

    A key is written as in messages: updates.window, people[0].name (lists count from 0).
    """


def _json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


@settings.command()
@click.argument("file", type=click.Path(path_type=Path))
@_json_option
def check(file: Path, as_json: bool) -> None:
    """Tell whether FILE holds usable settings.

    If not, every problem is named with its line and with what was expected there. A seed that asks
    for a restore is right, too; whether the place can be reached is not tried.
    """
    from firstboot.base.restorewish import parse_restore
    from firstboot.base.settings import parse_settings

    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError([f"{file}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{file}:1: expected text in UTF-8, got another encoding"]) from None
    if order := parse_restore(text, str(file)):
        place = order.restore.repository
        summary = {"ok": True, "restore": place}
        click.echo(_dump(summary) if as_json else f"{file} is right: a restore from {place}")
        return
    found = parse_settings(text, str(file))
    if as_json:
        people = [person.address for person in found.people]
        domains = [domain.name for domain in found.domains]
        known = {"hostname": found.hostname, "domains": domains, "people": people}
        click.echo(_dump({"ok": True, **known}))
    else:
        addresses = ", ".join(person.address for person in found.people) or "only forwards"
        click.echo(f"{file} is right: {found.hostname}, {addresses}")


@settings.command()
@click.argument("key", required=False)
@click.option("--defaults", is_flag=True, help="Show defaults that count, too.")
@_json_option
def show(key: str | None, defaults: bool, as_json: bool) -> None:
    """Show the settings that this machine keeps, or what stands below KEY.

    Passwords and their hashes are hidden.
    """
    import yaml

    from firstboot.base.change import parse_place, read_plain, value_at, without_secrets
    from firstboot.base.settings import require_settings

    path = Paths().settings
    value = read_plain(path)
    if defaults:
        known = require_settings(path).model_dump()
        value = {**value, **known}
    place = parse_place(key) if key else ()
    shown = without_secrets(value_at(value, place), place[-1] if place else "")
    if as_json:
        click.echo(_dump(shown))
    elif isinstance(shown, dict | tuple):
        text = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=1000)
        click.echo(text.rstrip("\n"))
    else:
        click.echo(json.dumps(shown) if isinstance(shown, bool) else shown)


@settings.command()
@click.argument("key")
@_json_option
def get(key: str, as_json: bool) -> None:
    """Print the value that counts for KEY, be it set or a default.

    Text and numbers are printed as they are, everything else as JSON.
    """
    from firstboot.base.change import parse_place, value_at, without_secrets
    from firstboot.base.settings import require_settings

    place = parse_place(key)
    known = require_settings(Paths().settings).model_dump()
    found = without_secrets(value_at(known, place), place[-1])
    if as_json:
        click.echo(_dump({"key": key, "value": found}))
    else:
        click.echo(found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))


@settings.command("set")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY VALUE [KEY VALUE]…")
@_json_option
def set_(pairs: tuple[str, ...], as_json: bool) -> None:
    """Set each KEY to its VALUE, all of them or none.

    VALUE is YAML, as it would stand in the file: true, 03:00-05:00, '[192.0.2.1]'. The settings as
    a whole have to be right afterwards; otherwise nothing is changed. Keys that depend on each
    other are given together:

      mailstead settings set network.method static network.addresses '[192.0.2.10/24]' \\
        network.gateways '[192.0.2.1]' network.dns '[192.0.2.1]'

    For a VALUE that is a minus sign alone a text is asked for, without showing it, or read as a
    line from standard input: a password on a command line could be seen by others.

    Says when the change counts.
    """
    from firstboot.base.change import Change, parse_place, parse_value

    if len(pairs) % 2:
        raise click.UsageError(f"expected a value for each key, got none for {pairs[-1]!r}")
    found = zip(pairs[::2], pairs[1::2], strict=True)
    _change(
        [
            Change(parse_place(key), _asked(key) if text == ASKED else parse_value(text, key))
            for key, text in found
        ],
        as_json,
    )


@settings.command()
@click.argument("keys", nargs=-1, required=True, metavar="KEY…")
@_json_option
def unset(keys: tuple[str, ...], as_json: bool) -> None:
    """Take each KEY out, so that its default counts again."""
    from firstboot.base.change import Change, parse_place

    _change([Change(parse_place(key), remove=True) for key in keys], as_json)


def _asked(key: str) -> str:
    """A text that stands on no command line."""
    if sys.stdin.isatty():
        return str(click.prompt(key, hide_input=True, err=True))
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.UsageError(f"expected a line on standard input: {key}")
    return line


def _change(changes: Sequence[Change], as_json: bool) -> None:
    from firstboot.base.audit import noted
    from firstboot.base.change import change_settings
    from firstboot.base.located import place_name
    from firstboot.base.run import run
    from firstboot.settings.effects import effects_of

    paths = Paths()
    places = [change.place for change in changes]
    keys = [place_name(place) for place in places]
    with noted(paths, "settings.change", ", ".join(keys)):
        change_settings(paths.settings, changes, lock=paths.settings_lock)
    effects = effects_of(places)
    for effect in effects:
        if effect.command:
            run(effect.command, timeout=300)
    if as_json:
        click.echo(_dump({"ok": True, "changed": keys, "when": [one.when for one in effects]}))
    else:
        click.echo("\n".join([f"changed: {', '.join(keys)}", *(one.when for one in effects)]))


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)

"""The verbs below `mailstead ssh`.

Commands import what they need when they run, as in firstboot.cli.
"""

# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.base.settings import Settings


@click.group()
def ssh() -> None:
    """The menu from afar, over SSH.

    It is off until it is switched on, lets nobody in without a key, and leads to the menu and
    nowhere else: ssh root@HOSTNAME.
    """


@ssh.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(as_json: bool) -> None:
    """Show whether SSH is on, who may log in from where, and how to know this machine."""
    from firstboot.base.settings import require_settings
    from firstboot.system.openssh import fingerprint, is_running, read_identity

    paths = Paths()
    settings = require_settings(paths.settings).ssh
    identity = read_identity(paths)
    keys = [(key, fingerprint(key)) for key in settings.keys]
    host_key = identity.fingerprint if identity else None
    if as_json:
        found = {
            "enabled": settings.enabled,
            "running": is_running(),
            "host_key": host_key,
            "networks": list(settings.networks),
            "keys": [{"key": key, "fingerprint": sum_} for key, sum_ in keys],
        }
        click.echo(json.dumps(found, indent=2))
        return
    running = "on" if is_running() else "on, but it does not run: mailstead logs --errors"
    click.echo(f"SSH        {running if settings.enabled else 'off'}")
    click.echo(f"this host  {host_key or 'has no key yet'}")
    click.echo(f"networks   {' '.join(settings.networks)}")
    for number, (key, sum_) in enumerate(keys):
        click.echo(f"key {number}      {sum_} {' '.join(key.split(' ')[2:])}".rstrip())


@ssh.command()
def on() -> None:
    """Let those in who have a key; there has to be one already."""
    _change("enabled", True)
    click.echo("SSH is on")


@ssh.command()
def off() -> None:
    """Let nobody in any more. Whoever is in stays until they leave."""
    _change("enabled", False)
    click.echo("SSH is off")


@ssh.command()
@click.argument("key", required=False)
def add(key: str | None) -> None:
    """Add a public KEY, the line in a file such as id_ed25519.pub.

    Without KEY, reads it from standard input.
    """
    from firstboot.base.settings import require_settings

    if key is None:
        if sys.stdin.isatty():
            click.echo("Paste the line of the public key, and press Enter:")
        key = sys.stdin.readline()
    found = require_settings(Paths().settings).ssh.keys
    line = " ".join(key.split())
    if any(one.split(" ")[1] == line.partition(" ")[2].split(" ")[0] for one in found):
        click.echo("that key is there already")
        return
    _change("keys", (*found, line))
    click.echo("the key is added")


@ssh.command()
@click.argument("number", type=click.IntRange(0))
def remove(number: int) -> None:
    """Take the key with this NUMBER away, as `status` numbers them.

    The last one can be taken away only while SSH is off.
    """
    from firstboot.base.errors import SettingsError
    from firstboot.base.settings import require_settings

    found = require_settings(Paths().settings).ssh.keys
    if number >= len(found):
        raise SettingsError([f"there is no key {number}"], "See: mailstead ssh status")
    _change("keys", found[:number] + found[number + 1 :])
    click.echo("the key is taken away")


@ssh.command(hidden=True)
def apply() -> None:
    """Bring the server in line with the settings."""
    from firstboot.base.settings import require_settings

    paths = Paths()
    _let_count(require_settings(paths.settings), paths)


def _let_count(settings: Settings, paths: Paths) -> None:
    """The server and the firewall before it are as the settings say."""
    from firstboot.base.firewall import open_ports
    from firstboot.base.services import read_stack
    from firstboot.system.nftables import apply_rules
    from firstboot.system.openssh import apply_ssh, restart_ssh

    apply_ssh(settings.ssh, paths)
    apply_rules(open_ports(settings, read_stack(paths.services)), paths.firewall)
    restart_ssh()


def _change(key: str, value: bool | tuple[str, ...]) -> None:
    """Change one setting of SSH, and let it count."""
    from firstboot.base.change import Change, change_settings

    paths = Paths()
    change = Change(("ssh", key), value)
    settings = change_settings(paths.settings, [change], lock=paths.settings_lock)
    _let_count(settings, paths)

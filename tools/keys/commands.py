"""The verbs `forge keys init`, `show` and `rotate`."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tools.keys.folder import (
    KeyFolder,
    begin_rotation,
    finish_rotation,
    key_folder,
    make_folder,
    read_folder,
    refuse_existing,
)
from tools.keys.passphrase import choose_passphrase, enter_passphrase
from tools.keys.show import describe, format_description
from tools.keys.token import lock_to, parse_uri
from tools.options import json_option

Command = TypeVar("Command", bound=Callable[..., Any])

_KEEP = """\
Keep a copy of this folder where neither fire nor thief gets both. Without it no machine of yours
ever takes another upgrade; with it anybody can make one. docs/keys.md tells more."""
_BEGUN = """\
Until `tools/forge keys rotate --finish` both keys sign. Publish a release now; finish when every
machine has it: one that has not cannot be upgraded from then on, except by that release."""

folder_option = click.option(
    "--folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where the keys are.  [default: $XDG_CONFIG_HOME/mailstead/keys]",
)
keys_option = click.option(
    "--keys",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The keys to sign with.  [default: those of `forge keys init`]",
)
passphrase_option = click.option(
    "--passphrase-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take the passphrase, or the token's PIN, from the only line of this file.",
)


@click.group()
def keys() -> None:
    """Make and look after the keys that your releases are signed with.

    They are needed to build and publish releases. To try Mailstead out and to test it nothing has
    to be done: each checkout makes test keys for itself, which no release is signed with.
    """


@keys.command("init")
@folder_option
@passphrase_option
@click.option("--no-passphrase", is_flag=True, help="Leave the private keys in clear.")
@click.option(
    "--token", metavar="URI", help="Let a PKCS #11 token open them: the URI of an RSA key there."
)
@json_option
def init(
    *,
    folder: Path | None,
    passphrase_file: Path | None,
    no_passphrase: bool,
    token: str | None,
    as_json: bool,
) -> None:
    """Make keys for releases.

    Asks twice for a passphrase on a terminal, otherwise takes it from --passphrase-file. Keys that
    are there already are never overwritten. With --token it asks for the token's PIN instead.
    """
    if no_passphrase and (passphrase_file or token):
        raise click.UsageError("--no-passphrase excludes --passphrase-file and --token")
    place = key_folder(folder)
    # Before anybody thinks of a passphrase for nothing.
    refuse_existing(place)
    passphrase, lock = None, None
    if token:
        key = parse_uri(token)
        passphrase = enter_passphrase(passphrase_file, key.asks)
        lock = lock_to(key, passphrase)
    elif not no_passphrase:
        passphrase = choose_passphrase(passphrase_file)
    now = datetime.datetime.now(datetime.UTC)
    made = make_folder(place, "release", passphrase, now=now, token=lock)
    _print(made, as_json=as_json, note=_KEEP)


@keys.command("show")
@folder_option
@json_option
def show(*, folder: Path | None, as_json: bool) -> None:
    """Show what keys there are, without opening them.

    Nothing that is shown is secret, and no passphrase is needed.
    """
    _print(read_folder(key_folder(folder)), as_json=as_json)


@keys.command("rotate")
@folder_option
@passphrase_option
@click.option("--finish", is_flag=True, help="Drop the former key for good.")
@click.option(
    "--distrust", is_flag=True, help="The former key was stolen: new systems do not trust it."
)
@json_option
def rotate(
    *,
    folder: Path | None,
    passphrase_file: Path | None,
    finish: bool,
    distrust: bool,
    as_json: bool,
) -> None:
    """Replace the key that signs releases.

    Without --finish it makes a new key. From then on releases are signed by both, so that machines
    which know only the former one take them, and the systems in them trust both. When every
    machine runs such a release, --finish drops the former key.

    The keys for Secure Boot, the system partition and the TPM stay: the firmware or the TPM of each
    machine has to learn a new one first, which no release can do. docs/keys.md tells what to do.
    """
    if finish and (distrust or passphrase_file):
        raise click.UsageError("--finish needs no other option: it opens no key")
    place = key_folder(folder)
    if finish:
        _print(finish_rotation(place), as_json=as_json)
        return
    found = read_folder(place)
    stretching = None if found.record.rotating else found.record.stretching
    passphrase = enter_passphrase(passphrase_file, stretching.asks) if stretching else None
    _print(begin_rotation(place, passphrase, distrust=distrust), as_json=as_json, note=_BEGUN)


def _print(found: KeyFolder, *, as_json: bool, note: str = "") -> None:
    shown = describe(found)
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    click.echo(format_description(shown))
    if note:
        click.echo(f"\n{note}")

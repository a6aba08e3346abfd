"""The verb `hash-password`: what a seed needs before there is a machine to make it on."""

from __future__ import annotations

import json
import sys

import click

from firstboot.base.passwords import MIN_LENGTH, hash_password
from tools.options import json_option


@click.command("hash-password")
@json_option
def hash_password_command(*, as_json: bool) -> None:
    """Make the password_hash of a person for a settings.yaml.

    Asks for the password on a terminal; otherwise reads it as one line from standard input.
    """
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < MIN_LENGTH:
        raise click.UsageError(f"the password must have at least {MIN_LENGTH} characters")
    made = hash_password(password)
    click.echo(json.dumps({"password_hash": made}) if as_json else made)

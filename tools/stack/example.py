"""Who lives in a stack: example people of an example domain (RFC 2606), with random passwords."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from firstboot.base.files import make_directory, write_atomic
from firstboot.base.passwords import hash_password
from firstboot.base.settings import VERSION, Settings, parse_settings
from tools.stack.home import Home

_PASSWORD_BYTES = 24
ADMINISTRATOR = "administrator"  # the name of the file with that password


@dataclass(frozen=True)
class Person:
    """Somebody with a mailbox in an example."""

    address: str
    name: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Example:
    """The settings of a stack but for the passwords."""

    hostname: str
    domain: str
    people: tuple[Person, ...]


ADA = Person("ada@example.com", "Ada Lovelace", aliases=("countess@example.com",))
EXAMPLE = Example("mail.example.com", "example.com", people=(ADA,))


def example_settings(example: Example, home: Home) -> Settings:
    """The example's settings; passwords and their hashes are made once and kept in `home`.

    They stay the same from one `up` to the next, so that nothing restarts that need not.
    """
    document = {
        "version": VERSION,
        "hostname": example.hostname,
        "domains": [{"name": example.domain}],
        "administrator": {"password_hash": _password_hash(home.password_file(ADMINISTRATOR))},
        "people": [_entry(person, home.password_file(person.address)) for person in example.people],
    }
    return parse_settings(yaml.safe_dump(document), "the example settings")


def _entry(person: Person, password: Path) -> dict[str, Any]:
    return {
        "address": person.address,
        "name": person.name,
        "aliases": list(person.aliases),
        "password_hash": _password_hash(password),
    }


def _password_hash(password: Path) -> str:
    """The hash of the password in a file (0600), both made if need be."""
    known = password.with_name(f"{password.name}.hash")
    if not (password.is_file() and known.is_file()):
        make_directory(password.parent, mode=0o700)
        text = secrets.token_urlsafe(_PASSWORD_BYTES)
        write_atomic(password, text, mode=0o600)
        # Last: where there is a hash, there is the password that it is of.
        write_atomic(known, hash_password(text), mode=0o600)
    return known.read_text(encoding="ascii")

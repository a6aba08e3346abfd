"""An example installation, for `try`, `boot` and the tests: one domain with one person."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from firstboot.base.passwords import MIN_MEMORY_KIB, MIN_PASSES, hash_password

DOMAIN = "example.com"
HOSTNAME = f"mail.{DOMAIN}"
ADDRESS = f"ada@{DOMAIN}"


@dataclass(frozen=True)
class Example:
    """A seed and what it contains in clear; `seed` is the text of a settings.yaml."""

    hostname: str
    address: str
    password: str = field(repr=False)
    seed: str = field(repr=False)


def make_example(extra: str = "") -> Example:
    """A new example with a new password; `extra` is YAML to add to the seed."""
    password = secrets.token_urlsafe(12)
    # Nobody guesses it, and the machine may be emulated.
    password_hash = hash_password(password, memory=MIN_MEMORY_KIB, passes=MIN_PASSES)
    seed = f"""\
version: 1
hostname: {HOSTNAME}
domains:
  - name: {DOMAIN}
people:
  - address: {ADDRESS}
    name: Ada Lovelace
    password_hash: {password_hash}
{extra}"""
    return Example(HOSTNAME, ADDRESS, password, seed)

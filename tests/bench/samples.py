"""A message as a server hands it over, and what is known of that server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """A message of which it is known whether it is spam.

    `raw` has line feeds for line ends. `sender` is its envelope's. `helo` is how its server greets,
    and `name` is how name servers call that server's address, or "". With what is `taught` a person
    teaches the filter, which is then asked about the others. `records` are lines of a zone
    (RFC 1035), and `signer` is the domain, if any, whose signature is still to be added.
    """

    spam: bool
    kind: str
    raw: bytes
    sender: str
    helo: str
    name: str
    taught: bool
    records: tuple[str, ...] = ()
    signer: str = ""

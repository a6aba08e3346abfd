"""SASL PLAIN (RFC 4616), the one mechanism there is, as IMAP and POP3 carry it."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field


class MalformedResponseError(Exception):
    """The response is no base64 of UTF-8, or not of three parts."""


@dataclass(frozen=True)
class Credentials:
    """Who logs in, and as whom: `authorization` is empty or a name."""

    authorization: str
    name: str
    password: str = field(repr=False)

    @property
    def for_somebody_else(self) -> bool:
        """Say whether the login is for another mailbox, which nobody may have."""
        return self.authorization not in {"", self.name}


def decode_plain(response: bytes) -> Credentials:
    """Return what a PLAIN response in base64 says. Raises MalformedResponseError."""
    try:
        parts = base64.b64decode(response, validate=True).decode().split("\0")
    except (binascii.Error, ValueError):
        raise MalformedResponseError("expected base64 of UTF-8") from None
    if len(parts) != 3:
        raise MalformedResponseError("PLAIN is authorization, login and password")
    return Credentials(*parts)

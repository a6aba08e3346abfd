"""Secrets that a person reads and types: app passwords and recovery codes.

Letters and digits of Crockford's base32, in groups of four, in which no two look alike; the last
two characters are a checksum, so that a slip is told from a wrong code before anything is tried.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # without i, l, o and u
GROUP = 4
CHECKSUM = 2  # characters
APP_ID = 4  # characters; which app password it is, so that one wrap is tried and not each
APP_LENGTH = 24  # 4 of the id, 18 secret ones (90 bits), the checksum
RECOVERY_LENGTH = 28  # 26 secret ones (130 bits), the checksum
_READ_AS = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None, " ": None})


@dataclass(frozen=True)
class AppPassword:
    """A password for one program; `text` is its normal form."""

    text: str = field(repr=False)

    @property
    def id(self) -> str:
        """Which one it is; not secret."""
        return self.text[:APP_ID]


def new_app_password() -> AppPassword:
    """Return a random one."""
    return AppPassword(_with_checksum("app", _random(APP_LENGTH - CHECKSUM)))


def new_recovery_code() -> str:
    """Return a random one in its normal form."""
    return _with_checksum("recovery", _random(RECOVERY_LENGTH - CHECKSUM))


def read_app_password(typed: str) -> AppPassword | None:
    """Return the app password that somebody typed, None when it is none."""
    text = _read("app", typed, APP_LENGTH)
    return None if text is None else AppPassword(text)


def read_recovery_code(typed: str) -> str | None:
    """Return the normal form of a recovery code that somebody typed, None when it is none."""
    return _read("recovery", typed, RECOVERY_LENGTH)


def grouped(text: str) -> str:
    """Return a code the way it is shown: `abcd-ef01-…`."""
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _read(kind: str, typed: str, length: int) -> str | None:
    text = typed.strip().lower().translate(_READ_AS)
    if len(text) != length or not set(text) <= set(ALPHABET):
        return None
    return text if _with_checksum(kind, text[:-CHECKSUM]) == text else None


def _with_checksum(kind: str, text: str) -> str:
    digest = hashlib.sha256(f"mailstead {kind} {text}".encode()).digest()
    return text + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:CHECKSUM])

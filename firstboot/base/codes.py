"""The recovery code of an installation: what a person reads from paper and types.

Letters and digits of Crockford's base32, in groups of four, in which no two look alike; the last
two characters are a checksum, so that a slip is told from a wrong code before anything is tried.
"""

from __future__ import annotations

import hashlib
import secrets

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # without i, l, o and u
GROUP = 4
GROUPS = 7
CHECKSUM = 2  # characters; the other 26 are 130 random bits
_LENGTH = GROUP * GROUPS
_READ_AS = str.maketrans({"o": "0", "i": "1", "l": "1", "-": None, " ": None})


def new_recovery_code() -> str:
    """A random code as it is shown and as restic takes it: `abcd-ef01-…`, seven groups."""
    return _shown(_with_checksum(random_text(_LENGTH - CHECKSUM)))


def read_recovery_code(typed: str) -> str | None:
    """The code that somebody typed, as `new_recovery_code` shows it; None when it is none.

    Capitals, blanks and hyphens do not matter; o, i and l are read as 0, 1 and 1.
    """
    text = "".join(typed.split()).lower().translate(_READ_AS)
    if len(text) != _LENGTH or not set(text) <= set(ALPHABET):
        return None
    return _shown(text) if _with_checksum(text[:-CHECKSUM]) == text else None


def random_text(length: int) -> str:
    """So many random characters of the alphabet, 5 bits each."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _shown(text: str) -> str:
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def _with_checksum(text: str) -> str:
    digest = hashlib.sha256(f"mailstead backup {text}".encode()).digest()
    return text + "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:CHECKSUM])

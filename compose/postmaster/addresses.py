"""Mail addresses as keys: normalised spelling, and the base of a plus-address."""

from __future__ import annotations

import re

RECIPIENT_DELIMITER = "+"  # equals recipient_delimiter in Postfix's main.cf
# Without what has a meaning in a list of addresses or needs quotes (RFC 5322, 3.2.3).
_PLAIN = re.compile(r"[^\s\"(),:;<>@\[\]\\]+@[^\s\"(),:;<>@\[\]\\]+")


def normalise(address: str) -> str:
    """Return the spelling under which an address is looked up: NFC is left alone, case is not.

    Local parts are compared without case although RFC 5321 2.4 allows otherwise: two people
    whose addresses differ by case only would be a trap for their correspondents.
    """
    return address.strip().lower()


def split(address: str) -> tuple[str, str] | None:
    """Return (local part, domain), or None when `address` has no `@` with text on both sides."""
    local, at, domain = address.rpartition("@")
    return (local, domain) if at and local and domain else None


def is_plain(address: str) -> bool:
    """Say whether an address means itself wherever a list of addresses may stand."""
    return _PLAIN.fullmatch(address) is not None


def base(address: str) -> str | None:
    """Return `ada@example.com` for `ada+lists@example.com`; None when there is no extension."""
    parts = split(address)
    if parts is None:
        return None
    local, domain = parts
    name, delimiter, _extension = local.partition(RECIPIENT_DELIMITER)
    return f"{name}@{domain}" if delimiter and name else None


def detail(address: str) -> str | None:
    """Return `lists` for `ada+lists@example.com`, as it was written; None when there is none."""
    parts = split(address)
    extension = parts[0].partition(RECIPIENT_DELIMITER)[2] if parts else ""
    return extension or None


def with_extension(address: str, *, of: str) -> str:
    """Return `ada+lists@example.com` for `ada@example.com` and the extension of `x+lists@y`."""
    local, _, domain = address.rpartition("@")
    extension = of.rpartition("@")[0].partition(RECIPIENT_DELIMITER)[2]
    return f"{local}{RECIPIENT_DELIMITER}{extension}@{domain}"

"""Folder names on the wire: modified UTF-7 (RFC 3501 5.1.3)."""

from __future__ import annotations

import base64
import binascii
import re

_ENCODED = re.compile(r"&([A-Za-z0-9+,]*)-")
_SPECIAL = re.compile(r"[^\x20-\x7e]+|&")


def encode(name: str) -> str:
    """Return the ASCII form of a name."""

    def shift(match: re.Match[str]) -> str:
        text = match.group()
        if text == "&":
            return "&-"
        coded = base64.b64encode(text.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
        return f"&{coded.decode()}-"

    return _SPECIAL.sub(shift, name)


def decode(name: str) -> str:
    """Return the name behind an ASCII form. Raises ValueError when it is not canonical."""

    def unshift(match: re.Match[str]) -> str:
        coded = match.group(1)
        if not coded:
            return "&"
        padded = coded.replace(",", "/") + "=" * (-len(coded) % 4)
        try:
            return base64.b64decode(padded).decode("utf-16-be")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("broken modified UTF-7") from error

    text = _ENCODED.sub(unshift, name)
    if encode(text) != name:
        raise ValueError("broken modified UTF-7")
    return text

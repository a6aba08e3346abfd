"""The random secrets of the stack, each a file of 64 hexadecimal digits."""

from __future__ import annotations

from pathlib import Path

from postmaster.errors import StartError

TOKEN_DIGITS = 64  # 256 bits; nobody has to remember it


def read_token(path: Path, what: str) -> str:
    """Read a random secret of the stack; StartError when it is missing or is none."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"cannot read {what} {path}: {error}") from error
    if len(token) != TOKEN_DIGITS or set(token) - set("0123456789abcdef"):
        raise StartError(
            f"{what} {path} is not {TOKEN_DIGITS} hexadecimal digits", "restore it from the backup"
        )
    return token

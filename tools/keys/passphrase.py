"""The passphrase of a key set: where it comes from, and how it becomes hard to guess.

Encrypted PKCS #8 files as cryptography writes them stretch their password with 2,048 rounds of
PBKDF2 only. So their password is not the passphrase, but 256 bits that Argon2id makes of it.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated, Literal

import click
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from pydantic import BaseModel, ConfigDict, Field

from tools.keys.errors import KeysError

MIN_LENGTH = 12
_NAME = "passphrase"
# RFC 9106, section 4: the second recommended option has 64 MiB; whoever builds images has more.
MEMORY_KIB = 256 << 10
PASSES = 3
LANES = 4
_SALT_BYTES = 16
_NEED_ONE = "Name a file with --passphrase-file, or run this on a terminal."


class Stretching(BaseModel):
    """How a passphrase becomes the password of the files. Salt in hexadecimal, memory in KiB."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kdf: Literal["argon2id"]
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    # The upper limits keep a damaged file from taking the host's memory, or for ever.
    memory_kib: Annotated[int, Field(ge=128, le=4 << 20)]
    passes: Annotated[int, Field(ge=1, le=64)]
    lanes: Annotated[int, Field(ge=1, le=16)]

    @property
    def asks(self) -> str:
        """What somebody has to type."""
        return _NAME

    def password(self, passphrase: bytes) -> bytes:
        """The password of the private key files: 64 hexadecimal digits."""
        derivation = Argon2id(
            salt=bytes.fromhex(self.salt),
            length=32,
            iterations=self.passes,
            lanes=self.lanes,
            memory_cost=self.memory_kib,
        )
        return derivation.derive(passphrase).hex().encode()


def new_stretching() -> Stretching:
    """Today's parameters and a salt of its own."""
    return Stretching(
        kdf="argon2id",
        salt=secrets.token_hex(_SALT_BYTES),
        memory_kib=MEMORY_KIB,
        passes=PASSES,
        lanes=LANES,
    )


def choose_passphrase(file: Path | None) -> bytes:
    """A passphrase for new keys: from a file, or asked twice. KeysError when it is too short."""
    passphrase = _obtain(file, _NAME, confirm=True)
    if len(passphrase) < MIN_LENGTH:
        raise KeysError(
            f"the passphrase has {len(passphrase)} characters, at least {MIN_LENGTH} are needed",
            "Several words that have nothing to do with each other are a good one.",
        )
    return passphrase.encode()


def enter_passphrase(file: Path | None, what: str) -> bytes:
    """What opens keys that there are (`what` by its name): from a file, or asked once."""
    return _obtain(file, what, confirm=False).encode()


def somebody_is_there() -> bool:
    """Whether there is a terminal to ask on."""
    return sys.stdin.isatty()


def _obtain(file: Path | None, what: str, *, confirm: bool) -> str:
    if file is not None:
        return _read(file)
    if not somebody_is_there():
        raise KeysError(f"the keys need their {what}, and there is nobody to ask", _NEED_ONE)
    words = what[0].upper() + what[1:]
    text: str = click.prompt(words, hide_input=True, confirmation_prompt=confirm, err=True)
    return text


def _read(file: Path) -> str:
    """The first line of a file, which may have no second one."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise KeysError(f"the passphrase file {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise KeysError(f"the passphrase file {file} is not text in UTF-8") from None
    passphrase, _, rest = text.partition("\n")
    passphrase = passphrase.removesuffix("\r")
    if rest.strip() or not passphrase:
        raise KeysError(f"the passphrase file {file} does not hold exactly one line")
    return passphrase

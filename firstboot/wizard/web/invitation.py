"""What a console shows so that a browser finds this machine, and its owner knows that it is this.

The web wizard writes it, the consoles show it. A console may ask for another code, which also opens
a pairing that was locked by wrong ones.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from firstboot.base.errors import CommandError
from firstboot.base.files import make_directory, write_atomic
from firstboot.system.qr import draw_qr

FORMAT = 1
COLUMNS = 80
# Longer links make a code of more than 19 lines of 37 (ISO/IEC 18004: version 3, level L).
_MOST_IN_QR = 53


@dataclass(frozen=True)
class Invitation:
    """How to open the web wizard.

    `addresses` are URLs, the best first, none while the machine has no network. `code` has eight
    digits; it is empty while pairing is locked. `fingerprint` is the SHA-256 of the certificate,
    hexadecimal, in the form of browsers (`AB:CD:…`). `paired` counts the browsers that came in.
    """

    addresses: tuple[str, ...]
    code: str
    fingerprint: str
    paired: int = 0

    @property
    def locked(self) -> bool:
        return not self.code

    @property
    def link(self) -> str:
        """An address with the code, for a telephone's camera; empty where there is none."""
        if self.locked or not self.addresses:
            return ""
        return f"{self.addresses[0]}/pair?code={self.code}"

    @property
    def shown_code(self) -> str:
        return f"{self.code[:4]} {self.code[4:]}"


def read_invitation(path: Path) -> Invitation | None:
    """The invitation as it is now, None where there is none that this version can read."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            return None
        return Invitation(
            tuple(str(address) for address in content["addresses"]),
            str(content["code"]),
            str(content["fingerprint"]),
            int(content["paired"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_invitation(path: Path, invitation: Invitation) -> None:
    """Show this from now on; only root reads it, since it holds the code."""
    make_directory(path.parent)
    write_atomic(path, json.dumps({"format": FORMAT, **asdict(invitation)}) + "\n", mode=0o600)


def ask_for_code(path: Path) -> None:
    """Have the web wizard make another code within a second; `path` is the invitation's."""
    make_directory(path.parent)
    write_atomic(_request(path), "")


def take_request(path: Path) -> bool:
    """Whether a console has asked for another code since the last look."""
    try:
        _request(path).unlink()
    except FileNotFoundError:
        return False
    return True


def draw_invitation(invitation: Invitation) -> tuple[str, ...]:
    """The lines of a screen, at most 80 columns and 19 lines: QR code and text side by side.

    The blocks of the QR code are light on a dark ground, see `draw_qr`. It is left out where there
    is no room for it beside a long address.
    """
    code = _qr(invitation.link)
    text = _text(invitation)
    width = max((len(line) for line in code), default=0)
    if width + 2 + max(map(len, text)) > COLUMNS:
        code, width = (), 0
    pairs = itertools.zip_longest(code, text, fillvalue="")
    return tuple(
        f"{left.ljust(width)}{'  ' if width else ''}{right}".rstrip() for left, right in pairs
    )


def _qr(link: str) -> tuple[str, ...]:
    if not link or len(link) > _MOST_IN_QR:
        return ()
    try:
        return draw_qr(link)
    except CommandError:
        # The text alone does, too.
        return ()


def _text(invitation: Invitation) -> list[str]:
    """At most 41 columns, unless an address is longer."""
    if not invitation.addresses:
        return ["This machine has no network address yet.", "Connect it to a network."]
    if invitation.locked:
        return [
            "Pairing with a browser is locked:",
            "a wrong code was typed five times.",
            "",
            "Ask for another code here.",
        ]
    parts = invitation.fingerprint.split(":")
    fingerprint = [":".join(parts[start : start + 8]) for start in range(0, len(parts), 8)]
    return [
        "Open in a browser of the same network:",
        *(f"  {address}" for address in invitation.addresses[:3]),
        "",
        f"Pairing code:  {invitation.shown_code}",
        "",
        "The browser warns of the certificate,",
        "since the machine made it itself. It is",
        "the right one if its SHA-256 is:",
        *(f"  {line}" for line in fingerprint),
    ]


def _request(path: Path) -> Path:
    return path.with_name("new-code")

"""What the owner sees of a recovery key: the code to scan beside the text to write down."""

from __future__ import annotations

import itertools

from firstboot.base.errors import CommandError
from firstboot.disk.recovery import Pending
from firstboot.system.qr import draw_qr

# White on black, whatever the terminal's own colours are; and back.
_WHITE, _PLAIN = "\033[1;37;40m", "\033[0m"


def draw_key(pending: Pending, *, colour: bool) -> str:
    """The key as QR code and as text side by side, at most 80 columns and 21 lines."""
    try:
        code = draw_qr(pending.key)
    except CommandError:
        # The text alone does, too.
        code = ()
    width = max((len(line) for line in code), default=0)
    white, plain = (_WHITE, _PLAIN) if colour else ("", "")
    lines = []
    for left, right in itertools.zip_longest(code, _text(pending), fillvalue=""):
        image = f"{white}{left}{plain}" if left else " " * width
        lines.append(f"{image}  {right}".rstrip())
    return "\n".join(lines) + "\n"


def question(pending: Pending) -> str:
    return f"Type group {pending.group} to confirm that you have it (or: later): "


def _text(pending: Pending) -> list[str]:
    """At most 37 columns."""
    return [
        "",
        "RECOVERY KEY OF THIS DISK",
        "",
        "It opens the disk when nothing else",
        "does: after a change of hardware, or",
        "when what opens it was lost. Scan it",
        "or write it down, and keep it away",
        "from this machine.",
        "",
        *(f"   {number}  {group}" for number, group in enumerate(pending.groups, start=1)),
        "",
        "Until it is confirmed, each start",
        "makes a new one.",
    ]

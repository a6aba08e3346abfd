"""QR codes as text, by qrencode(1): two modules a character, for a screen of 80x25."""

from __future__ import annotations

from firstboot.base.run import run


def draw_qr(text: str) -> tuple[str, ...]:
    """The lines of the code for `text`, light drawn as blocks, with the margin that readers want.

    For the 71 characters of a recovery key 21 lines of 41. Error correction is the lowest: a
    screen has no scratches, but only 25 lines.
    """
    argv = ["qrencode", "--type=UTF8", "--level=L", "--margin=4"]
    drawn = run(argv, stdin=text, timeout=60).stdout
    return tuple(drawn.rstrip("\n").split("\n"))

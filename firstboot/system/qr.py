"""QR codes by qrencode(1): as text, two modules a character, for a screen of 80x25; as modules."""

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


def qr_modules(text: str) -> tuple[tuple[bool, ...], ...]:
    """The rows of the code for `text`, True where it is dark, without the margin of 4 modules.

    A quarter of it may be lost (level Q): for paper, which is folded and gets stains.
    """
    argv = ["qrencode", "--type=ASCII", "--level=Q", "--margin=0"]
    drawn = run(argv, stdin=text, timeout=60).stdout.rstrip("\n").split("\n")
    # Each module is two characters wide.
    return tuple(tuple(mark == "#" for mark in line[::2]) for line in drawn)

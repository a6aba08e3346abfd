"""Messages in a file of the form mboxrd, which most mail programs read.

Line ends are LF, and a line that begins with `From ` is quoted. How a message is marked stands in
`Status` and `X-Status`, where mutt, Dovecot and others look for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC

from postmaster.storage.interface import Content

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
SEEN = "\\Seen"
PIECE_BYTES = 256 * 1024  # about, and as much more as a line takes
_MARKS = (("\\Answered", "A"), ("\\Flagged", "F"), ("\\Draft", "T"), ("\\Deleted", "D"))


def mbox_entry(content: Content) -> Iterator[bytes]:
    """Return a message as it stands in the file, in pieces: a large one is not made once more."""
    flags = content.message.flags
    stamp = content.message.internal_date.astimezone(UTC).strftime("%a %b %d %H:%M:%S %Y")
    head = f"From MAILER-DAEMON {stamp}\nStatus: {'RO' if SEEN in flags else 'O'}\n"
    if marks := "".join(letter for flag, letter in _MARKS if flag in flags):
        head += f"X-Status: {marks}\n"
    yield head.encode()
    end = b"\n"
    for text in (content.header, content.body or b""):
        for piece in _pieces(text):
            yield _FROM.sub(rb">\1", piece.replace(b"\r\n", b"\n"))
        end = text[-1:] or end
    yield b"\n" if end == b"\n" else b"\n\n"


def _pieces(text: bytes) -> Iterator[bytes]:
    """All of it, cut where lines end."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + PIECE_BYTES) + 1 or len(text)
        yield text[start:end]
        start = end

"""Messages in a file of the form mboxrd, which most mail programs read.

Line ends are LF, and a line that begins with `From ` is quoted. How a message is marked stands in
`Status` and `X-Status`, where mutt, Dovecot and others look for it.
"""

from __future__ import annotations

import re
from datetime import UTC

from postmaster.storage.interface import Content

_FROM = re.compile(rb"^(>*From )", re.MULTILINE)
SEEN = "\\Seen"
_MARKS = (("\\Answered", "A"), ("\\Flagged", "F"), ("\\Draft", "T"), ("\\Deleted", "D"))


def mbox_entry(content: Content) -> bytes:
    """Return a message as it stands in the file."""
    flags = content.message.flags
    stamp = content.message.internal_date.astimezone(UTC).strftime("%a %b %d %H:%M:%S %Y")
    head = f"From MAILER-DAEMON {stamp}\nStatus: {'RO' if SEEN in flags else 'O'}\n"
    if marks := "".join(letter for flag, letter in _MARKS if flag in flags):
        head += f"X-Status: {marks}\n"
    text = _FROM.sub(rb">\1", content.raw.replace(b"\r\n", b"\n"))
    return head.encode() + text + (b"\n" if text.endswith(b"\n") else b"\n\n")

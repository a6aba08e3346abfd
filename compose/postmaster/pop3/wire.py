"""Messages on the wire (RFC 1939 3): lines that end in CRLF, a dot doubled, a dot at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator

END = b".\r\n"
CHUNK = 64 * 1024

_LINE = re.compile(rb"([^\n]*)(\n|\Z)")


def message_lines(header: bytes, body: bytes, lines: int | None = None) -> Iterator[bytes]:
    """Yield a message in pieces, at most `lines` of its body (TOP), and the end.

    A bare LF becomes CRLF: some clients would take `LF . LF` for the end.
    """
    yield from _stuffed(header, None)
    yield from _stuffed(body, lines)
    yield END


def _stuffed(data: bytes, count: int | None) -> Iterator[bytes]:
    piece = bytearray()
    for match in _LINE.finditer(data):
        if count is not None:
            if count == 0:
                break
            count -= 1
        line, end = match.groups()
        if not end and not line:
            break  # the data ended with a line break
        if line.startswith(b"."):
            piece += b"."
        piece += line.removesuffix(b"\r")
        piece += b"\r\n"
        if len(piece) >= CHUNK:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)

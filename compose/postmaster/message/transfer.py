"""Transfer encodings that cannot be kept: binary parts, rewritten as base64 (RFC 3516 4.4).

A part in `binary` may hold NUL, which no other protocol than BINARY carries.
"""

from __future__ import annotations

import base64
import re

from postmaster.message.mime import Part, parse_message

_FIELD = re.compile(rb"^content-transfer-encoding[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.I | re.M)
_LINE_BYTES = 57  # of data, which make 76 characters (RFC 2045 6.8)


def without_binary_parts(raw: bytes) -> bytes:
    """Return a message whose binary parts with NUL in them are encoded as base64."""
    if b"\0" not in raw:
        return raw
    for part in reversed(list(parse_message(raw).walk())):
        # From the end, so that the offsets of what comes before still hold.
        leaf = not part.is_multipart and part.message is None
        if leaf and part.encoding == b"BINARY" and b"\0" in raw[part.body : part.end]:
            raw = raw[: part.start] + _encoded(raw, part) + raw[part.end :]
    return raw


def _encoded(raw: bytes, part: Part) -> bytes:
    header = raw[part.start : part.body]
    data = raw[part.body : part.end]
    lines = (data[at : at + _LINE_BYTES] for at in range(0, len(data), _LINE_BYTES))
    field = b"Content-Transfer-Encoding: base64\r\n"
    return _FIELD.sub(field, header, count=1) + b"".join(
        base64.b64encode(line) + b"\r\n" for line in lines
    )

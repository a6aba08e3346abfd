"""The beginning of a message's text, for lists of messages (RFC 8970)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import islice

from postmaster.message.mime import Part
from postmaster.message.text import part_text

PREVIEW_CHARACTERS = 200  # RFC 8970 3.2: so many should be, 256 may be
MAX_PARTS = 3  # that are looked at, when the first have no text
PREVIEW_BYTES = 128 * 1024  # of a part that are looked at: HTML begins with pages of style

_TAG = re.compile(r"<!--.*?(?:-->|\Z)|<([/!?]?)([A-Za-z][A-Za-z0-9]*)?[^>]*(?:>|\Z)", re.DOTALL)
# What is not shown, and how it ends.
_HIDDEN = {
    name: re.compile(f"</{name}", re.IGNORECASE) for name in ("head", "style", "script", "title")
}
_WITHIN_WORDS = frozenset({"a", "b", "em", "font", "i", "span", "strong", "u", "wbr"})
_QUOTED = re.compile(r"^>.*$", re.MULTILINE)
# What newsletters fill their beginning up with, and what cannot be seen.
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f\xad\u034f\u200b-\u200f\u2060-\u2064\ufeff]")
_SPACE = re.compile(r"\s+")


def preview_parts(outline: Part) -> Iterator[Part]:
    """Yield the parts that may have the text, the likeliest first."""
    return islice(_own_texts(outline), MAX_PARTS)


def _own_texts(part: Part) -> Iterator[Part]:
    """Yield the texts of a message in its order, of alternatives the plain ones first.

    What is attached, messages too, is not what its sender says; and behind a text of HTML a plain
    one may be the footer of a mailing list.
    """
    if part.disposition is not None and part.disposition[0].upper() == b"ATTACHMENT":
        return
    if part.type == b"TEXT" and part.subtype in {b"PLAIN", b"HTML"}:
        yield part
    children = part.children
    if part.subtype == b"ALTERNATIVE":
        children = tuple(sorted(children, key=lambda child: child.subtype != b"PLAIN"))
    for child in children:
        yield from _own_texts(child)


def preview_text(beginning: bytes, part: Part) -> str:
    """Return the preview of a part, of which `beginning` are the first bytes; it may be empty."""
    text = part_text(beginning, part._replace(body=0, end=len(beginning)))
    text = _without_tags(text) if part.subtype == b"HTML" else _QUOTED.sub("", text)
    text = _SPACE.sub(" ", _INVISIBLE.sub("", text)).strip()
    return text[:PREVIEW_CHARACTERS].encode("utf-8", "replace").decode()


def _without_tags(source: str) -> str:
    texts: list[str] = []
    position = 0
    while tag := _TAG.search(source, position):
        texts.append(source[position : tag.start()])
        position = tag.end()
        closing, name = tag.group(1), (tag.group(2) or "").lower()
        if name in _HIDDEN and not closing:
            end = _HIDDEN[name].search(source, position)
            position = end.start() if end else len(source)
        elif name not in _WITHIN_WORDS:
            texts.append(" ")
    texts.append(source[position:])
    return html.unescape("".join(texts))

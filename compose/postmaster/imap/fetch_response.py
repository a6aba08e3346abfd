"""FETCH responses (RFC 3501 7.4.2), made of what was read of messages.

Clients ask for the flags of a whole folder at once, so what is the same for all messages is found
out once, and what is known of each without reading it fills one template.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import TypeAlias

from postmaster.imap import wire
from postmaster.imap.fetch import (
    OF_MESSAGE,
    Attribute,
    FetchRequest,
    Item,
    OfMessage,
    content_item,
    needs_content,
)
from postmaster.imap.view import View
from postmaster.storage.interface import Content, Message

SMALL = 64 * 1024  # bytes; what is larger is not copied into one piece with the rest

_Writer: TypeAlias = Callable[[Message, Content | None], bytes]


def fetch_responses(
    view: View,
    request: FetchRequest,
    messages: Iterable[Message],
    contents: Mapping[int, Content],
    *,
    marked: Collection[int],
) -> Iterator[bytes]:
    """Yield responses in pieces, small ones whole; `contents` by UID, as the request needs them.

    `marked`: UIDs of messages that this very command has marked as seen, which it tells.
    """
    plain = _writers(view, request.items)
    telling = _writers(view, _with_flags(request.items, modseq=view.condstore))
    for message in messages:
        content = contents.get(message.uid)
        small, separator = b"* %d FETCH (" % (view.number(message.uid) or 0), b""
        for write in telling if message.uid in marked else plain:
            piece = write(message, content)
            if len(piece) <= SMALL:
                small += separator + piece
            else:
                yield small + separator
                yield piece
                small = b""
            separator = b" "
        yield small + b")\r\n"


def _with_flags(items: tuple[Item, ...], *, modseq: bool) -> tuple[Item, ...]:
    told = (Attribute("FLAGS"), Attribute("MODSEQ")) if modseq else (Attribute("FLAGS"),)
    return tuple(dict.fromkeys([*items, *told]))


def _writers(view: View, items: Iterable[Item]) -> list[_Writer]:
    """Return what writes the items one after the other, neighbours without content together."""
    writers: list[_Writer] = []
    for with_content, run in groupby(items, needs_content):
        if with_content:
            writers += [partial(_write_content, view, item) for item in run]
        else:
            writers.append(_message_writer(view, [i.name for i in run if isinstance(i, Attribute)]))
    return writers


def _message_writer(view: View, names: Iterable[str]) -> _Writer:
    table: Mapping[str, OfMessage] = {
        **OF_MESSAGE,
        "FLAGS": (b"FLAGS %b", lambda message: wire.flags(view.flags_of(message))),
    }
    formats, values = zip(*(table[name] for name in names), strict=True)
    template = b" ".join(formats)

    def write(message: Message, _content: Content | None) -> bytes:
        return template % tuple([value(message) for value in values])

    return write


def _write_content(view: View, item: Item, _message: Message, content: Content | None) -> bytes:
    if content is None:
        raise ValueError("the content was not read")
    return content_item(item, content, rev2=view.rev2)

"""The parts of a message (RFC 2045, 2046): what they are and at which bytes they lie."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from postmaster.message.address import Address, parse_addresses
from postmaster.message.header import header_length, values_by_name

MAX_DEPTH = 50
MAX_PARTS = 1000  # of one message; what is nested or repeated beyond these stays one opaque part

MAX_DELIMITERS = 200_000  # places that look like one; a hostile message can be full of them

_PARAMETER = re.compile(
    rb';[ \t\r\n]*([^\s;="()]+)[ \t\r\n]*=[ \t\r\n]*(?:"((?:[^"\\]|\\.)*)"?|([^\s;"]*))', re.DOTALL
)
_COMMENT = re.compile(rb"\([^()]*\)")
_TYPE = re.compile(rb"[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)/([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)

Parameters = tuple[tuple[bytes, bytes], ...]
Fields = Mapping[bytes, Sequence[bytes]]  # of a header, by name (lower case)


class Envelope(NamedTuple):
    """The header fields of RFC 9051 7.5.2; values are as in the message, only unfolded.

    A tuple, as a part is: a client asks for those of a whole folder, and a dataclass takes several
    times as long to make.
    """

    date: bytes | None = None
    subject: bytes | None = None
    from_: tuple[Address, ...] = ()
    sender: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    in_reply_to: bytes | None = None
    message_id: bytes | None = None


class Part(NamedTuple):
    """One MIME part; offsets count bytes from the start of the whole message."""

    start: int  # of its header
    body: int  # of its body
    end: int
    type: bytes = b"TEXT"
    subtype: bytes = b"PLAIN"
    parameters: Parameters = ()
    id: bytes | None = None
    description: bytes | None = None
    encoding: bytes = b"7BIT"
    md5: bytes | None = None
    disposition: tuple[bytes, Parameters] | None = None
    language: tuple[bytes, ...] = ()
    location: bytes | None = None
    lines: int = 0  # of the body
    children: tuple[Part, ...] = ()  # of a multipart
    message: Part | None = None  # what a message/rfc822 or message/global part holds
    envelope: Envelope | None = None  # of a whole message

    @property
    def is_multipart(self) -> bool:
        """Say whether the part only holds other parts."""
        return self.type == b"MULTIPART"

    def walk(self) -> Iterator[Part]:
        """Yield this part and all within it, in the order of the message."""
        yield self
        for child in self.children:
            yield from child.walk()
        if self.message is not None:
            yield from self.message.walk()


def parse_message(data: bytes) -> Part:
    """Return the part tree of a whole message, with its envelope."""
    return _Parser(data).message(0, len(data), 0)


def parse_envelope(fields: Fields) -> Envelope:
    """Return the envelope of a header; empty Sender and Reply-To are those of From."""

    def addresses(name: bytes) -> tuple[Address, ...]:
        return parse_addresses(b", ".join(fields[name])) if name in fields else ()

    from_ = addresses(b"from")
    return Envelope(
        date=_first(fields, b"date"),
        subject=_first(fields, b"subject"),
        from_=from_,
        sender=addresses(b"sender") or from_,
        reply_to=addresses(b"reply-to") or from_,
        to=addresses(b"to"),
        cc=addresses(b"cc"),
        bcc=addresses(b"bcc"),
        in_reply_to=_first(fields, b"in-reply-to"),
        message_id=_first(fields, b"message-id"),
    )


def parse_parameters(value: bytes) -> Parameters:
    """Return the `;name=value` parameters of a field's value, names in upper case."""
    found = []
    for match in _PARAMETER.finditer(value):
        name, quoted, plain = match.groups()
        text = plain if quoted is None else _ESCAPE.sub(rb"\1", quoted)
        found.append((name.upper(), text))
    return tuple(found)


@dataclass
class _Parser:
    data: bytes
    parts: int = field(default=0)
    delimiters: int = field(default=0)

    def message(self, start: int, end: int, depth: int) -> Part:
        return self._part(start, end, depth, b"TEXT/PLAIN", whole=True)

    def _part(
        self, start: int, end: int, depth: int, default_type: bytes, *, whole: bool = False
    ) -> Part:
        self.parts += 1
        body = start + header_length(self.data, start, end)
        fields = values_by_name(self.data[start:body])
        type_, subtype, parameters = _content_type(fields, default_type)
        opaque = depth >= MAX_DEPTH or self.parts >= MAX_PARTS
        children: tuple[Part, ...] = ()
        message: Part | None = None
        if type_ == b"MULTIPART":
            boundary = dict(parameters).get(b"BOUNDARY", b"").rstrip()
            if opaque or not boundary:
                type_, subtype, parameters = b"APPLICATION", b"OCTET-STREAM", ()
            else:
                inner_default = b"MESSAGE/RFC822" if subtype == b"DIGEST" else b"TEXT/PLAIN"
                children = self._children(body, end, depth, boundary, inner_default)
        encoding = (_first(fields, b"content-transfer-encoding") or b"7BIT").split(b";")[0].strip()
        if type_ == b"MESSAGE" and subtype in {b"RFC822", b"GLOBAL"}:
            # Only an identity encoding can be looked into (RFC 2046 5.2.1).
            if not opaque and encoding.lower() in {b"7bit", b"8bit", b"binary", b""}:
                message = self.message(body, end, depth + 1)
            elif subtype == b"RFC822":  # a global one may be encoded (RFC 6532 3.7)
                type_, subtype = b"APPLICATION", b"OCTET-STREAM"
        disposition = _first(fields, b"content-disposition")
        return Part(
            start=start,
            body=body,
            end=end,
            type=type_,
            subtype=subtype,
            parameters=parameters,
            id=_first(fields, b"content-id"),
            description=_first(fields, b"content-description"),
            encoding=encoding.upper() or b"7BIT",
            md5=_first(fields, b"content-md5"),
            disposition=_disposition(disposition) if disposition else None,
            language=_languages(_first(fields, b"content-language")),
            location=_first(fields, b"content-location"),
            lines=_lines(self.data, body, end),
            children=children,
            message=message,
            envelope=parse_envelope(fields) if whole else None,
        )

    def _children(
        self, start: int, end: int, depth: int, boundary: bytes, default_type: bytes
    ) -> tuple[Part, ...]:
        children = []
        for part_start, part_end in self._spans(start, end, boundary):
            if self.parts >= MAX_PARTS:
                break
            children.append(self._part(part_start, part_end, depth + 1, default_type))
        # RFC 9051 has no multipart without parts; an empty one says the least that is untrue.
        return tuple(children) or (Part(end, end, end, parameters=((b"CHARSET", b"US-ASCII"),)),)

    def _spans(self, start: int, end: int, boundary: bytes) -> Iterator[tuple[int, int]]:
        """Yield where parts lie between delimiter lines; the break before one belongs to it."""
        delimiter = b"--" + boundary
        part_start: int | None = None
        position = start
        while (position := self.data.find(delimiter, position, end)) != -1:
            at, after = position, position + len(delimiter)
            position = after
            self.delimiters += 1
            if self.delimiters > MAX_DELIMITERS:
                break
            if at != start and self.data[at - 1] != ord("\n"):
                continue
            closing = self.data.startswith(b"--", after, end)
            line_end = self.data.find(b"\n", after, end)
            line_end = end if line_end == -1 else line_end
            if self.data[after + 2 * closing : line_end].strip(b" \t\r"):
                continue  # a longer boundary that starts alike
            if part_start is not None:
                yield part_start, max(part_start, self._before_break(at, start))
            part_start = None if closing else min(line_end + 1, end)
            if closing:
                return
            position = part_start if part_start is not None else position
        if part_start is not None:
            yield part_start, end  # the closing delimiter is missing

    def _before_break(self, position: int, start: int) -> int:
        if position > start and self.data[position - 1] == ord("\n"):
            position -= 1
            if position > start and self.data[position - 1] == ord("\r"):
                position -= 1
        return position


def _first(fields: Fields, name: bytes) -> bytes | None:
    return fields[name][0] if name in fields else None


def _content_type(fields: Fields, default: bytes) -> tuple[bytes, bytes, Parameters]:
    value = _first(fields, b"content-type")
    match = _TYPE.match(value) if value is not None else None
    if value is None or match is None:
        type_, _, subtype = default.partition(b"/")
        parameters: Parameters = ((b"CHARSET", b"US-ASCII"),) if type_ == b"TEXT" else ()
        return type_, subtype, parameters
    type_, subtype = match.group(1).upper(), match.group(2).upper()
    parameters = parse_parameters(_without_comments(value[match.end() :]))
    if type_ == b"TEXT" and not any(name == b"CHARSET" for name, _ in parameters):
        parameters = (*parameters, (b"CHARSET", b"US-ASCII"))  # RFC 2045 5.2
    return type_, subtype, parameters


def _without_comments(value: bytes) -> bytes:
    return value if b'"' in value else _COMMENT.sub(b"", value)


def _disposition(value: bytes) -> tuple[bytes, Parameters]:
    kind, _, _ = value.partition(b";")
    return kind.strip().upper() or b"ATTACHMENT", parse_parameters(value[len(kind) :])


def _languages(value: bytes | None) -> tuple[bytes, ...]:
    return tuple(tag for tag in re.split(rb"[,\s]+", value or b"") if tag)


def _lines(data: bytes, start: int, end: int) -> int:
    count = data.count(b"\n", start, end)
    return count + 1 if end > start and data[end - 1] != ord("\n") else count

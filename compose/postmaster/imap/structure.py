"""ENVELOPE, BODY and BODYSTRUCTURE of a part tree, written as RFC 9051 7.5.2 wants them."""

from __future__ import annotations

from postmaster.imap import wire
from postmaster.message.address import Address
from postmaster.message.mime import Envelope, Parameters, Part


def envelope(value: Envelope) -> bytes:
    """Return the ENVELOPE of a header."""
    from_ = _addresses(value.from_)
    # As a rule they are the same.
    sender = from_ if value.sender == value.from_ else _addresses(value.sender)
    reply_to = from_ if value.reply_to == value.from_ else _addresses(value.reply_to)
    return wire.parenthesised(
        [
            wire.nstring(value.date),
            wire.nstring(value.subject),
            from_,
            sender,
            reply_to,
            *map(_addresses, (value.to, value.cc, value.bcc)),
            wire.nstring(value.in_reply_to),
            wire.nstring(value.message_id),
        ]
    )


def body_structure(part: Part, *, extensible: bool, rev2: bool) -> bytes:
    """Return BODYSTRUCTURE when `extensible`, BODY when not.

    `rev2`: what a message/global part holds is told like that of message/rfc822 (RFC 9051 9).
    """
    if part.is_multipart:
        children = b"".join(
            body_structure(child, extensible=extensible, rev2=rev2) for child in part.children
        )
        items = [children, wire.string(part.subtype)]
        if extensible:
            items += [_parameters(part.parameters), *_common_extension(part)]
        return wire.parenthesised(items)
    kind, subtype, message = part.type, part.subtype, part.message
    if (kind, subtype) == (b"MESSAGE", b"GLOBAL"):
        if not rev2:
            message = None
        elif message is None:  # it is encoded, and there is no other form
            kind, subtype = b"APPLICATION", b"OCTET-STREAM"
    items = [
        wire.string(kind),
        wire.string(subtype),
        _parameters(part.parameters),
        wire.nstring(part.id),
        wire.nstring(part.description),
        wire.string(part.encoding),
        b"%d" % (part.end - part.body),
    ]
    if message is not None and message.envelope is not None:
        items.append(envelope(message.envelope))
        items.append(body_structure(message, extensible=extensible, rev2=rev2))
        items.append(b"%d" % part.lines)
    elif part.type == b"TEXT":
        items.append(b"%d" % part.lines)
    if extensible:
        items += [wire.nstring(part.md5), *_common_extension(part)]
    return wire.parenthesised(items)


def _common_extension(part: Part) -> list[bytes]:
    disposition = b"NIL"
    if part.disposition is not None:
        kind, parameters = part.disposition
        disposition = wire.parenthesised([wire.string(kind), _parameters(parameters)])
    language = wire.parenthesised(map(wire.string, part.language)) if part.language else b"NIL"
    return [disposition, language, wire.nstring(part.location)]


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return wire.parenthesised(wire.string(item) for pair in parameters for item in pair)


def _addresses(addresses: tuple[Address, ...]) -> bytes:
    if not addresses:
        return b"NIL"
    # The list of RFC 9051 9 has no spaces between its entries.
    return b"(%b)" % b"".join(
        [
            b"(%b %b %b %b)"
            % (wire.nstring(name), wire.nstring(route), wire.nstring(mailbox), wire.nstring(host))
            for name, mailbox, host, route in addresses
        ]
    )

"""Large parts of messages, each kept once however many messages have it.

A part is cut out of the body as it is, with its transfer encoding, so that the message is put
together again byte for byte. Who sends or forwards a file twice writes the same bytes, as a rule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from postmaster.errors import StorageUnavailableError
from postmaster.message.mime import Part
from postmaster.storage.database import Database
from postmaster.storage.schema import APART_FORMAT

APART_BYTES = 64 * 1024  # smaller ones are not worth a row of their own


@dataclass(frozen=True)
class Attachment:
    """A part that is kept apart: where in the body it begins, and its bytes."""

    at: int
    data: bytes = field(repr=False)


def cut(body: bytes, offset: int, outline: Part) -> tuple[bytes, Sequence[Attachment]]:
    """Return a body without its large parts, and these in order.

    `offset`: where the body begins in the message that `outline` describes.
    """
    rest: list[bytes] = []
    attachments: list[Attachment] = []
    position = 0
    for part in outline.walk():
        start, end = part.body - offset, part.end - offset
        whole = part.is_multipart or part.message is not None
        if whole or end - start < APART_BYTES or start < position:
            continue
        rest.append(body[position:start])
        attachments.append(Attachment(start, body[start:end]))
        position = end
    return b"".join([*rest, body[position:]]), attachments


def keep_attachments(database: Database, content: int, attachments: Sequence[Attachment]) -> None:
    """Note which parts a content has; their bytes are written if they are new."""
    if attachments and int(database.pragma("user_version")) < APART_FORMAT:
        database.query(f"PRAGMA user_version = {APART_FORMAT}", ())
    for attachment in attachments:
        digest = hashlib.sha256(attachment.data).digest()
        rows = database.query("SELECT id FROM attachments WHERE hash = ?", (digest,))
        if not rows:
            rows = database.query(
                "INSERT INTO attachments (hash, data) VALUES (?, ?) RETURNING id",
                (digest, attachment.data),
            )
        ((identifier,),) = rows
        database.query(
            "INSERT INTO pieces (content, at, attachment) VALUES (?, ?, ?)",
            (content, attachment.at, identifier),
        )


def whole_body(database: Database, content: int, rest: bytes, size: int) -> bytes:
    """Return a body of `size` bytes from what is left of it and the parts that are kept apart.

    Raises StorageUnavailableError when a part is missing.
    """
    if len(rest) == size:
        return rest
    rows = database.query(
        "SELECT at, data FROM pieces JOIN attachments ON attachments.id = attachment"
        " WHERE content = ? ORDER BY at",
        (content,),
    )
    pieces: list[bytes] = []
    position = taken = 0
    for at, data in rows:
        between = at - position
        pieces += [rest[taken : taken + between], data]
        taken += between
        position = at + len(data)
    body = b"".join([*pieces, rest[taken:]])
    if len(body) != size:
        raise StorageUnavailableError(
            f"a message in the vault {database.path} lacks an attachment",
            "`mailstead vault check` tells more",
        )
    return body


def read_beginning(database: Database, content: int, rest: bytes, start: int, end: int) -> bytes:
    """Return the bytes `start` to `end` of a body, as far as these lie in one piece.

    `rest` is what is left of the body. A part, or the beginning of one, always does.
    """
    rows = database.query(
        "SELECT at, length(data), attachment FROM pieces"
        " JOIN attachments ON attachments.id = attachment WHERE content = ? AND at <= ?",
        (content, start),
    )
    before = 0
    for at, size, attachment in rows:
        if at <= start < at + size:
            ((data,),) = database.query("SELECT data FROM attachments WHERE id = ?", (attachment,))
            return bytes(data[start - at : end - at])
        before += size
    return rest[start - before : end - before]


def read_raw(database: Database, content: int) -> bytes:
    """Return a whole message."""
    ((size, header, rest),) = database.query(
        "SELECT size, header, body FROM contents WHERE id = ?", (content,)
    )
    return bytes(header + whole_body(database, content, rest, size - len(header)))

"""The bytes of messages: written once, shared by copies, gone with the last of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from postmaster.message.header import header_length
from postmaster.message.mime import Envelope, Part, parse_message
from postmaster.message.order import Heading, find_references, heading_of
from postmaster.message.outline import (
    ENVELOPE_PATH,
    HEADING_PATHS,
    OUTLINE_VERSION,
    READABLE_VERSIONS,
    dump_outline,
    load_envelope,
    load_heading,
    load_outline,
)
from postmaster.message.preview import PREVIEW_BYTES, preview_parts, preview_text
from postmaster.message.searchable import Searchable
from postmaster.storage.attachments import (
    cut,
    keep_attachments,
    read_beginning,
    read_raw,
    whole_body,
)
from postmaster.storage.database import Database
from postmaster.storage.interface import Content
from postmaster.storage.rows import BATCH, among, batches, marks, message_of
from postmaster.storage.texts import keep_text, passing_text

_SELECT_CONTENT = (
    "SELECT m.uid, m.flags, m.internal_date, m.zone, m.size, m.modseq, m.content, {}"
    " FROM messages m JOIN contents c ON c.id = m.content WHERE m.folder = ? AND m.uid {}"
    " ORDER BY m.uid"
)
_READABLE = f"c.outline_version IN ({','.join(map(str, sorted(READABLE_VERSIONS)))})"
_OUTLINE = f"iif({_READABLE}, c.outline, NULL)"
_ENVELOPE = f"iif({_READABLE}, json_extract(c.outline, '{ENVELOPE_PATH}'), NULL)"

_SELECT_HEADING = (
    "SELECT m.uid, c.id, c.outline_version, json_extract(c.outline, {}), iif(?, c.header, NULL)"
    " FROM messages m JOIN contents c ON c.id = m.content WHERE m.folder = ? AND m.uid IN ({})"
)


@dataclass(frozen=True)
class NewContent:
    """A message's bytes and what is computed from them once, before the transaction."""

    header: bytes = field(repr=False)
    body: bytes = field(repr=False)
    outline: Part = field(repr=False)
    text: Searchable = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes of the message."""
        return len(self.header) + len(self.body)


def examine(raw: bytes) -> NewContent:
    """Compute what is kept of a message."""
    split = header_length(raw)
    outline = parse_message(raw)
    return NewContent(raw[:split], raw[split:], outline, passing_text(raw, split, outline))


def keep_content(database: Database, new: NewContent, modseq: int) -> int:
    """Write a message's bytes and text; return the content's id.

    That is the modseq of its arrival, so that no id is used twice (RFC 8474 5.1): by itself SQLite
    would give the latest content's again after that is gone.
    """
    rest, attachments = cut(new.body, len(new.header), new.outline)
    ((content,),) = database.query(
        "INSERT INTO contents (id, size, outline_version, outline, header, body) VALUES"
        " (max(?, 1 + (SELECT coalesce(max(id), 0) FROM contents)), ?, ?, ?, ?, ?) RETURNING id",
        (modseq, new.size, OUTLINE_VERSION, dump_outline(new.outline), new.header, rest),
    )
    keep_attachments(database, content, attachments)
    keep_text(database, content, new.text)
    return int(content)


def read_contents(
    database: Database,
    folder: int,
    uids: Sequence[int],
    *,
    headers: bool,
    bodies: bool,
    outlines: bool,
    envelopes: bool,
    previews: bool,
    budget: int,
) -> Sequence[Content]:
    """See `Mailbox.contents`."""
    found: list[Content] = []
    condition, values = among(sorted(set(uids[:BATCH])))
    # What is not wanted is not read: it may lie on pages of its own, each to be decrypted.
    columns = (
        "c.header" if headers or bodies or previews else "x''",
        "c.body" if bodies or previews else "NULL",
        _OUTLINE if outlines or previews else _ENVELOPE if envelopes else "NULL",
    )
    statement = _SELECT_CONTENT.format(", ".join(columns), condition)
    with closing(database.each(statement, (folder, *values))) as rows:
        for row in rows:
            header, body, outline = row[7:]
            message = message_of(row[:7])
            content = message.content
            part = envelope = preview = whole = None
            if outlines or previews:
                part = _outline(database, content, outline)
                envelope = part.envelope
            elif envelopes:
                envelope = _envelope(database, content, outline)
            if previews and part is not None:
                preview = _preview(database, content, part, len(header), body)
                budget -= PREVIEW_BYTES // 8  # about what it takes, in time
            if bodies:
                whole = whole_body(database, content, body, message.size - len(header))
            found.append(Content(message, header, whole, part, envelope, preview))
            budget -= len(header) + len(whole or b"") + len(outline or "")
            if budget <= 0:
                break
    return found


def read_headings(
    database: Database, folder: int, uids: Sequence[int], *, references: bool
) -> Mapping[int, Heading]:
    """See `Mailbox.headings`."""
    found: dict[int, Heading] = {}
    for batch in batches(uids):
        statement = _SELECT_HEADING.format(marks(HEADING_PATHS), marks(batch))
        rows = database.each(statement, (*HEADING_PATHS, references, folder, *batch))
        with closing(rows):
            for uid, content, version, fields, header in rows:
                values = None if header is None else find_references(header)
                if version in READABLE_VERSIONS:
                    found[uid] = load_heading(fields, values)
                else:
                    found[uid] = _computed_heading(database, content, values)
    return found


def _computed_heading(database: Database, content: int, references: bytes | None) -> Heading:
    return heading_of(_envelope(database, content, None), references)


def _preview(database: Database, content: int, outline: Part, split: int, rest: bytes) -> str:
    """Return a message's preview; `split`: bytes of its header, `rest`: what its row has of it."""
    for part in preview_parts(outline):
        start = part.body - split
        end = min(part.end - split, start + PREVIEW_BYTES)
        text = preview_text(read_beginning(database, content, rest, start, end), part)
        if text:
            return text
    return ""


def drop_contents(database: Database, contents: Iterable[int]) -> None:
    """Remove those contents that no message has any more."""
    for content in set(contents):
        database.query(
            "DELETE FROM contents WHERE id = ?1"
            " AND NOT EXISTS (SELECT 1 FROM messages WHERE content = ?1)",
            (content,),
        )


def _outline(database: Database, content: int, outline: str | None) -> Part:
    if outline is not None:
        return load_outline(outline)
    return parse_message(read_raw(database, content))


def _envelope(database: Database, content: int, envelope: str | None) -> Envelope:
    if envelope is not None:
        return load_envelope(envelope)
    return parse_message(read_raw(database, content)).envelope or Envelope()

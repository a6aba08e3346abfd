"""SEARCH in texts: substrings, found by an index of trigrams and then looked at.

`texts` has the folded text of each message. The index only narrows down: it knows which messages
have all trigrams of a term (or, for one or two characters, a trigram that begins with them), not
where. What is not in the index yet is looked at in any case, so an answer never depends on how far
the index is. See docs/vault.md.
"""

from __future__ import annotations

from typing import Any

from postmaster.message.header import header_length
from postmaster.message.mime import Part, parse_message
from postmaster.message.searchable import (
    Searchable,
    field_contains,
    fold,
    searchable,
    searchable_body,
)
from postmaster.storage.attachments import read_raw
from postmaster.storage.database import Database
from postmaster.storage.interface import TextKey, TextScope

KEPT_CHARACTERS = 128 * 1024  # of a body's text; a longer one is computed anew when looked at
# Bytes of a message. The index has no text of a larger one, unless it is short enough to be kept
# (an attachment may make the rest): it is looked at in each search. A text of ten megabytes would
# hold up its owner's sessions for a minute, and whoever wants can send one.
INDEXED_BYTES = 512 * 1024
TRIGRAM = 3
MAX_TRIGRAMS = 32  # of a term that the index is asked for
LAST_CHARACTER = "\U0010ffff"

_INDEXED = "SELECT rowid FROM trigrams WHERE trigrams MATCH :asked"
_INDEXED_SHORT = "SELECT doc FROM trigram_terms WHERE term >= :term AND term < :after"
_CANDIDATES = (
    " FROM messages m JOIN texts t ON t.content = m.content WHERE m.folder = :folder"
    " AND (:everywhere OR m.content IN (SELECT content FROM unindexed) OR m.content IN ({index})"
    "  OR (m.size > :indexed AND t.body IS NULL))"
)


def prepare_connection(database: Database) -> None:
    """Define what the statements here call; once for each connection."""
    database.define("field_contains", field_contains)


def passing_text(raw: bytes, split: int, outline: Part) -> Searchable:
    """Return the text of a message as far as it can be kept; `split`: bytes of its header."""
    return searchable(raw, split, outline, most=INDEXED_BYTES)


def keep_text(database: Database, content: int, text: Searchable) -> None:
    """Write the text of a message; it is in no index yet."""
    body = text.body
    if body is not None and len(body) > KEPT_CHARACTERS:
        body = None
    database.query(
        "INSERT OR REPLACE INTO texts (content, header, body) VALUES (?, ?, ?)",
        (content, text.header, body),
    )


def fill_texts(database: Database, budget: int) -> bool:
    """Compute texts that are missing, as many as `budget` bytes of messages; say if more are.

    They are missing where the release before has delivered.
    """
    rows = database.query(
        "SELECT content, size FROM unindexed JOIN contents ON contents.id = content"
        " WHERE content NOT IN (SELECT content FROM texts) LIMIT 200",
        (),
    )
    for content, size in rows:
        if budget <= 0:
            return True
        raw = read_raw(database, content)
        keep_text(database, content, passing_text(raw, header_length(raw), parse_message(raw)))
        budget -= size
    return len(rows) == 200


def index_texts(database: Database, budget: int) -> bool:
    """Take texts into the index, as many as `budget` characters; say whether more are to come."""
    rows = database.query(
        "SELECT content, texts.header, texts.body, size FROM unindexed"
        " JOIN texts USING (content) JOIN contents ON contents.id = content LIMIT 200",
        (),
    )
    for content, header, body, size in rows:
        if budget <= 0:
            return True
        text = header + "\n"
        if body is not None:
            text += body
        elif size <= INDEXED_BYTES:
            text += _body(database, content)
        # Two more, so that each character begins a trigram.
        database.query("INSERT INTO trigrams (rowid, text) VALUES (?, ?)", (content, text + "\n\n"))
        database.query("DELETE FROM unindexed WHERE content = ?", (content,))
        budget -= len(text)
    return len(rows) == 200


def search_texts(database: Database, folder: int, key: TextKey) -> frozenset[int]:
    """Return the UIDs of a folder's messages that a key matches; all texts have to be there."""
    term = fold(key.wanted)
    index, values = _index(term)
    candidates = _CANDIDATES.format(index=index)
    named = {
        "folder": folder,
        "everywhere": not term,
        "term": term,
        "indexed": INDEXED_BYTES,
        **values,
    }

    def look(columns: str, condition: str) -> list[Any]:
        return database.query(f"SELECT {columns}{candidates} AND {condition}", named)

    if key.scope is TextScope.FIELD:
        # Compared within the statement, so that only the UIDs of what matches are in memory.
        named["name"] = fold(key.field)
        contained = "instr(t.header, :term) AND field_contains(t.header, :name, :term)"
        return frozenset(uid for (uid,) in look("m.uid", contained))
    in_header = "instr(t.header, :term) OR " if key.scope is TextScope.TEXT else ""
    found = {uid for (uid,) in look("m.uid", f"({in_header}instr(t.body, :term))")}
    for uid, content in look("m.uid, m.content", "t.body IS NULL"):
        if uid not in found and term in _body(database, content):
            found.add(uid)
    return frozenset(found)


def _index(term: str) -> tuple[str, dict[str, str]]:
    """Return the statement that asks the index for a term, and its values."""
    if len(term) < TRIGRAM:
        return _INDEXED_SHORT, {"after": term + LAST_CHARACTER}
    trigrams = dict.fromkeys(term[start : start + TRIGRAM] for start in range(len(term) - 2))
    quoted = ('"' + trigram.replace('"', '""') + '"' for trigram in list(trigrams)[:MAX_TRIGRAMS])
    return _INDEXED, {"asked": " AND ".join(quoted)}


def _body(database: Database, content: int) -> str:
    raw = read_raw(database, content)
    return searchable_body(raw, parse_message(raw))

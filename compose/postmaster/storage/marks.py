"""Marks: what was taken into a vault from elsewhere, so that a crash in between doubles nothing.

A mark is set in the transaction that takes something in, and dropped once its source is gone. The
table is made when it is first needed; a release that does not know it leaves it alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from postmaster.storage.database import Database

_TABLE = "CREATE TABLE IF NOT EXISTS marks (mark TEXT PRIMARY KEY) STRICT, WITHOUT ROWID"


def set_mark(database: Database, mark: str) -> bool:
    """Set a mark, within the transaction that it is about; return whether it was not set yet."""
    database.query(_TABLE, ())
    statement = "INSERT INTO marks (mark) VALUES (?) ON CONFLICT DO NOTHING RETURNING 1"
    return bool(database.query(statement, (mark,)))


def drop_marks(database: Database, marks: Iterable[str]) -> None:
    """Drop marks whose source is gone for good."""
    database.query(_TABLE, ())
    for mark in marks:
        database.query("DELETE FROM marks WHERE mark = ?", (mark,))


def drop_marks_of(database: Database, source: str) -> None:
    """Drop all marks that begin with `source` and a colon."""
    database.query(_TABLE, ())
    start = f"{source}:"
    database.query("DELETE FROM marks WHERE substr(mark, 1, ?) = ?", (len(start), start))

"""The tables of a vault and their history: an ordered list of migrations, never edited.

A migration once shipped stays as it is; a change is one more at the end. Version N of the
program has to read what version N+1 left behind (either slot may run), so migrations only add.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import apsw

from postmaster.errors import StorageUnavailableError
from postmaster.storage.interface import STANDARD_FOLDERS

Migration = Callable[[apsw.Connection], None]


def _first(database: apsw.Connection) -> None:
    """Folders, messages, and contents that several messages may share (COPY)."""
    database.execute(
        """
        CREATE TABLE counters (              -- one row
            modseq INTEGER NOT NULL,         -- of the latest change in the vault
            uidvalidity INTEGER NOT NULL     -- of the latest folder; each gets a new one
        ) STRICT;
        CREATE TABLE folders (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            special_use TEXT,
            subscribed INTEGER NOT NULL DEFAULT 1,
            uidvalidity INTEGER NOT NULL UNIQUE,
            uidnext INTEGER NOT NULL DEFAULT 1,
            first_recent INTEGER NOT NULL DEFAULT 1
        ) STRICT;
        CREATE TABLE contents (              -- body last: reading the rest does not touch it
            id INTEGER PRIMARY KEY,
            size INTEGER NOT NULL,
            outline_version INTEGER NOT NULL,
            outline TEXT NOT NULL,           -- JSON, see message/outline.py
            header BLOB NOT NULL,            -- with the empty line; header || body is the message
            body BLOB NOT NULL
        ) STRICT;
        CREATE TABLE messages (
            folder INTEGER NOT NULL REFERENCES folders(id),
            uid INTEGER NOT NULL,
            content INTEGER NOT NULL REFERENCES contents(id),
            size INTEGER NOT NULL,
            internal_date INTEGER NOT NULL,  -- seconds since 1970
            zone INTEGER NOT NULL,           -- of that date, minutes east of Greenwich
            flags TEXT NOT NULL,             -- sorted, separated by spaces
            modseq INTEGER NOT NULL,
            PRIMARY KEY (folder, uid)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX messages_by_modseq ON messages(folder, modseq);
        CREATE INDEX messages_by_content ON messages(content);
        CREATE TABLE vanished (
            folder INTEGER NOT NULL,
            uid INTEGER NOT NULL,
            modseq INTEGER NOT NULL,
            PRIMARY KEY (folder, modseq, uid)
        ) STRICT, WITHOUT ROWID;
        """
    )
    # Starting at the clock keeps UIDVALIDITY rising even when a vault is made anew.
    start = int(time.time())
    database.execute("INSERT INTO counters VALUES (1, ?)", (start + len(STANDARD_FOLDERS),))
    database.executemany(
        "INSERT INTO folders (name, special_use, uidvalidity) VALUES (?, ?, ?)",
        [(name, use, start + number) for number, (name, use) in enumerate(STANDARD_FOLDERS, 1)],
    )


MIGRATIONS: Sequence[Migration] = (_first,)


def migrate(database: apsw.Connection) -> None:
    """Bring a vault to the current version, each step a transaction; a newer one is left alone.

    Raises StorageUnavailableError for a vault from more than one version ahead.
    """
    version = int(database.pragma("user_version") or 0)
    if version > len(MIGRATIONS) + 1:
        raise StorageUnavailableError(
            f"the vault has format {version}, this program knows {len(MIGRATIONS)}",
            "run the version of Mailstead that wrote it",
        )
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        with database:
            migration(database)
            database.pragma("user_version", number)

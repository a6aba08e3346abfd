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


_USAGE = """
CREATE TABLE usage (                 -- one row
    bytes INTEGER NOT NULL,          -- of all messages, each copy counted
    messages INTEGER NOT NULL,
    warned INTEGER NOT NULL          -- the percentage of the latest warning, 0 for none
) STRICT;
INSERT INTO usage (bytes, messages, warned)
    SELECT coalesce(sum(size), 0), count(*), 0 FROM messages;
CREATE TRIGGER usage_grows AFTER INSERT ON messages BEGIN
    UPDATE usage SET bytes = bytes + NEW.size, messages = messages + 1;
END;
CREATE TRIGGER usage_shrinks AFTER DELETE ON messages BEGIN
    UPDATE usage SET bytes = bytes - OLD.size, messages = messages - 1;
END;
"""

_SUBSCRIPTIONS = """
CREATE TABLE subscriptions (         -- of folders that are gone; the others have theirs
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
"""

_DELIVERIES = """
CREATE TABLE deliveries (            -- of late, so that none is kept twice
    id BLOB PRIMARY KEY,
    at INTEGER NOT NULL              -- seconds since 1970
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_by_time ON deliveries(at);
"""

_TEXTS = """
CREATE TABLE texts (                 -- folded, see message/searchable.py
    content INTEGER PRIMARY KEY REFERENCES contents(id) ON DELETE CASCADE,
    header TEXT NOT NULL,
    body TEXT                        -- NULL: too long to be kept twice
) STRICT;
CREATE TABLE unindexed (             -- contents that `trigrams` does not have yet
    content INTEGER PRIMARY KEY REFERENCES contents(id) ON DELETE CASCADE
) STRICT;
INSERT INTO unindexed (content) SELECT id FROM contents;
CREATE VIRTUAL TABLE trigrams USING fts5(
    text, content = '', contentless_delete = 1, detail = none,
    tokenize = 'trigram case_sensitive 1'
);
CREATE VIRTUAL TABLE trigram_terms USING fts5vocab(trigrams, instance);
CREATE TRIGGER contents_come AFTER INSERT ON contents BEGIN
    INSERT INTO unindexed (content) VALUES (NEW.id);
END;
CREATE TRIGGER contents_go AFTER DELETE ON contents BEGIN
    DELETE FROM trigrams WHERE rowid = OLD.id;
END;
"""

_ATTACHMENTS = """
CREATE TABLE attachments (           -- large parts, see storage/attachments.py
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,       -- SHA-256 of the data
    data BLOB NOT NULL
) STRICT;
CREATE TABLE pieces (                -- what `contents.body` lacks
    content INTEGER NOT NULL REFERENCES contents(id) ON DELETE CASCADE,
    at INTEGER NOT NULL,             -- where in the whole body it begins
    attachment INTEGER NOT NULL REFERENCES attachments(id),
    PRIMARY KEY (content, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX pieces_by_attachment ON pieces(attachment);
CREATE TRIGGER pieces_go AFTER DELETE ON pieces BEGIN
    DELETE FROM attachments WHERE id = OLD.attachment
        AND NOT EXISTS (SELECT 1 FROM pieces WHERE attachment = OLD.attachment);
END;
"""


def _second(database: apsw.Connection) -> None:
    """Texts and their index, quota, deliveries, and attachments apart; old rows are caught up with.

    Triggers do what the release before does not know of when it works with the vault.
    """
    for tables in (_USAGE, _SUBSCRIPTIONS, _DELIVERIES, _TEXTS, _ATTACHMENTS):
        database.execute(tables)


def _apart(_database: apsw.Connection) -> None:
    """Nothing to do: the number says that bodies may lack parts, which are in `attachments`."""


MIGRATIONS: Sequence[Migration] = (_first, _second, _apart)

# A vault takes this number with its first attachment that is kept apart: a release that knows no
# more than the first must not read bodies then. Until then it can use the vault.
APART_FORMAT = MIGRATIONS.index(_apart) + 1


def migrate(database: apsw.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a file to the current version, each step a transaction; a newer one is left alone.

    Raises StorageUnavailableError for a file from more than one version ahead.
    """
    version = int(database.pragma("user_version") or 0)
    if version > len(migrations) + 1:
        raise StorageUnavailableError(
            f"the file has format {version}, this program knows {len(migrations)}",
            "run the version of Mailstead that wrote it",
        )
    for number, migration in enumerate(migrations[version:], version + 1):
        if migration is _apart:
            break
        with database:
            migration(database)
            database.pragma("user_version", number)

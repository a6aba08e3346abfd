"""The tables of calendars and contacts and their history, as `schema` has those of mail.

The file of one person is encrypted with a key of its own, so that an app password for calendars
opens no mail; see docs/calendars.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from postmaster.storage.schema import Migration


def _first(database: apsw.Connection) -> None:
    """Collections, what is in them, and what was removed, for those who ask what has changed."""
    database.execute(
        """
        CREATE TABLE counters (              -- one row
            modseq INTEGER NOT NULL,         -- of the latest change in the file
            bytes INTEGER NOT NULL           -- of all texts
        ) STRICT;
        INSERT INTO counters VALUES (1, 0);
        CREATE TABLE collections (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,       -- '' for the person's own
            properties TEXT NOT NULL,        -- JSON, as Radicale names them
            modseq INTEGER NOT NULL,         -- of the latest change in it
            forgotten INTEGER NOT NULL,      -- removals up to this modseq are not known any more
            changed INTEGER NOT NULL         -- seconds since 1970
        ) STRICT;
        CREATE TABLE items (
            id INTEGER PRIMARY KEY,
            collection INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
            href TEXT NOT NULL,
            uid TEXT NOT NULL,
            component TEXT NOT NULL,         -- VEVENT, VTODO, VCARD …
            etag TEXT NOT NULL,
            begins INTEGER NOT NULL,         -- seconds since 1970, of all recurrences together
            ends INTEGER NOT NULL,
            text TEXT NOT NULL,
            modseq INTEGER NOT NULL,
            changed INTEGER NOT NULL,
            UNIQUE (collection, href)
        ) STRICT;
        CREATE INDEX items_by_modseq ON items(collection, modseq);
        CREATE INDEX items_by_uid ON items(collection, uid);
        CREATE TABLE removed (
            collection INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
            href TEXT NOT NULL,
            modseq INTEGER NOT NULL,
            PRIMARY KEY (collection, href)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX removed_by_modseq ON removed(collection, modseq);
        CREATE TABLE taken (                 -- former files whose content was moved in
            source TEXT PRIMARY KEY
        ) STRICT, WITHOUT ROWID;
        CREATE TRIGGER bytes_come AFTER INSERT ON items BEGIN
            UPDATE counters SET bytes = bytes + octet_length(NEW.text);
        END;
        CREATE TRIGGER bytes_change AFTER UPDATE OF text ON items BEGIN
            UPDATE counters SET bytes = bytes + octet_length(NEW.text) - octet_length(OLD.text);
        END;
        CREATE TRIGGER bytes_go AFTER DELETE ON items BEGIN
            UPDATE counters SET bytes = bytes - octet_length(OLD.text);
        END;
        """
    )


COLLECTION_MIGRATIONS: Sequence[Migration] = (_first,)

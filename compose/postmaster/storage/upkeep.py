"""What a vault does when nobody waits for it: the search index, and giving free pages back."""

from __future__ import annotations

from postmaster.storage.database import Database
from postmaster.storage.texts import fill_texts, index_texts

INDEX_BUDGET = 256 * 1024  # characters in one transaction
FILL_BUDGET = 1024 * 1024  # bytes of messages in one transaction
VACUUM_PAGES = 256  # given back in one transaction, 1 MiB
FREE_PAGES = 1024  # fewer are not worth it
FREE_SHARE = 10  # one part in so many of the file has to be free


def tidy(database: Database) -> bool:
    """See `Mailbox.tidy`; part of a transaction."""
    # First what makes room, since the rest needs some.
    if vacuum_pays(database):
        database.query(f"PRAGMA incremental_vacuum({VACUUM_PAGES})", ())
        return True
    return fill_texts(database, FILL_BUDGET) or index_texts(database, INDEX_BUDGET)


def write_log_back(database: Database) -> None:
    """Write the log into the file, which only then gets shorter; not part of a transaction."""
    database.query("PRAGMA wal_checkpoint(TRUNCATE)", ())


def vacuum_pays(database: Database) -> bool:
    """Say whether so much of the file is free that the disk should have it back."""
    free, pages = (int(database.pragma(name)) for name in ("freelist_count", "page_count"))
    return free >= FREE_PAGES and free * FREE_SHARE >= pages

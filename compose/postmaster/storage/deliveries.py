"""The ids of late deliveries: what the queue sends again after a lost answer is kept once."""

from __future__ import annotations

import time

from postmaster.storage.database import Database

# Postfix gives up after five days (postconf(5), maximal_queue_lifetime).
REMEMBER_SECONDS = 7 * 24 * 3600
REMEMBER_COUNT = 20_000  # and a few more


def is_new(database: Database, identifier: bytes) -> bool:
    """Note a delivery; return whether it was not there yet. Old ones are forgotten."""
    now = int(time.time())
    database.query("DELETE FROM deliveries WHERE at < ?", (now - REMEMBER_SECONDS,))
    noted = database.query(
        "INSERT INTO deliveries (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1",
        (identifier, now),
    )
    if identifier[:1] == b"\0":  # one in 256: counting reads all of them
        database.query(
            "DELETE FROM deliveries WHERE at <"
            " (SELECT at FROM deliveries ORDER BY at DESC LIMIT 1 OFFSET ?)",
            (REMEMBER_COUNT,),
        )
    return bool(noted)

"""The counters of a vault that only rise: modseq, UIDVALIDITY, and the UIDs of each folder.

Every change gets the vault's next modseq, and what is removed leaves its UID in `vanished`: so a
session can ask at any time what happened since it last looked, whoever did it.
"""

from __future__ import annotations

from postmaster.storage.database import Database


def modseq(database: Database) -> int:
    """Return the modseq of the latest change."""
    ((value,),) = database.query("SELECT modseq FROM counters", ())
    return int(value)


def next_modseq(database: Database) -> int:
    """Return the modseq of the change under way."""
    ((value,),) = database.query("UPDATE counters SET modseq = modseq + 1 RETURNING modseq", ())
    return int(value)


def next_uidvalidity(database: Database) -> int:
    """Return the UIDVALIDITY of a new folder."""
    ((value,),) = database.query(
        "UPDATE counters SET uidvalidity = uidvalidity + 1 RETURNING uidvalidity", ()
    )
    return int(value)


def take_uid(database: Database, folder: int) -> int:
    """Return the UID of a new message."""
    ((uid,),) = database.query(
        "UPDATE folders SET uidnext = uidnext + 1 WHERE id = ? RETURNING uidnext - 1", (folder,)
    )
    return int(uid)

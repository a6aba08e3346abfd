"""Seals or drains mail until it is killed: python -m … seal|drain FOLDER FIRST.

`seal`: message N is sealed for a locked vault; a line `N` on standard output acknowledges it. What
was FIRST is delivered again by the next run, as a queue does. `drain`: takes in what waits, again
and again, and a line says that a round is done.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from postmaster.crypto import DataKey, person_id
from postmaster.delivery import deliver
from postmaster.query import Unlock
from postmaster.storage import draining
from tests.unit.postmaster.store import Place

ADA = "ada@example.com"
SECRET = bytes(range(32))


def open_place(folder: Path) -> Place:
    """The same folders and keys each time."""
    place = Place(folder)
    place.directory.vaults[ADA] = (person_id(ADA), SECRET)
    return place


def message(number: int) -> bytes:
    """Return message N."""
    return b"Subject: number %d\r\n\r\nbody of %d\r\n" % (number, number) + b"x" * 3000


async def seal(folder: Path, first: int) -> None:
    """Deliver one message after the other."""
    store = open_place(folder).store()
    for number in itertools.count(first):
        await deliver(store, ADA, message(number), b"%d" % number)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


async def drain(folder: Path) -> None:
    """Unlock the vault again and again."""
    draining.BATCH_FILES = 3  # so that there are many instants between two steps
    while True:
        store = open_place(folder).store()
        sys.stdout.write("unlocking\n")
        sys.stdout.flush()
        await store.unlock(ADA, Unlock(person_id(ADA), DataKey(SECRET)))
        await store.close()


if __name__ == "__main__":
    what, where, number = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    asyncio.run(seal(where, number) if what == "seal" else drain(where))

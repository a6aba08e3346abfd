"""One person's calendars and contacts in one encrypted file; each method is one transaction.

What a client needs in order to ask for changes only (ETag, CTag, sync-collection of RFC 6578) comes
from `modseq`, which every change takes the next of.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from postmaster.crypto import DataKey
from postmaster.storage.collection_schema import COLLECTION_MIGRATIONS
from postmaster.storage.collection_values import (
    COLLECTION,
    ITEM,
    Collection,
    Item,
    NoSuchCollectionError,
    UnknownStateError,
    Wanted,
    fitting_ids,
    free_name,
    modseq_of,
    read_collection,
    where_items,
)
from postmaster.storage.database import Database
from postmaster.storage.interface import OverQuotaError
from postmaster.storage.room import require_room

PAGE_ITEMS = 256  # in one answer at most
KEPT_REMOVALS = 10_000  # of a collection; whoever was away for longer reads it anew


class CollectionFile:
    """An open file. Use it on one thread only; every method may raise StorageUnavailableError."""

    def __init__(self, path: Path, key: DataKey) -> None:
        """Open or make the file. Raises StorageUnavailableError."""
        self._database = Database(path, key, COLLECTION_MIGRATIONS)
        # As for mail: zeroing what is deleted would fill a disk that is full.
        self._database.query("PRAGMA secure_delete = FAST", ())

    def close(self) -> None:
        """Write the log back into the file and let go of it."""
        self._database.close()

    # Collections

    def collections(self) -> Sequence[Collection]:
        """Return all, the person's own first."""
        query = f"SELECT {COLLECTION} FROM collections ORDER BY name"  # noqa: S608
        rows = self._database.query(query, ())
        return [read_collection(row) for row in rows]

    def create(
        self, name: str, properties: Mapping[str, str], items: Sequence[Item], limit: int | None
    ) -> None:
        """Make a collection with all that is in it; one of the same name is replaced.

        `limit`: bytes of all texts, None for no limit. Raises OverQuotaError, StorageFullError.
        """
        with self._growing(sum(len(item.text) for item in items), limit):
            self._database.query("DELETE FROM collections WHERE name = ?", (name,))
            self._add(name, properties, items)

    def set_properties(self, name: str, properties: Mapping[str, str]) -> None:
        """Replace the properties. Raises NoSuchCollectionError."""
        with self._database.writing():
            collection = self._id(name)
            self._database.query(
                "UPDATE collections SET properties = ? WHERE id = ?",
                (json.dumps(properties), collection),
            )
            self._touch(collection)

    def delete(self, name: str) -> None:
        """Remove a collection and all in it. Raises NoSuchCollectionError."""
        with self._database.writing():
            self._database.query("DELETE FROM collections WHERE id = ?", (self._id(name),))

    def sizes(self) -> Sequence[tuple[Collection, int, int]]:
        """Return all collections, with how many items each has and characters of their texts."""
        with self._database.reading():
            counted = self._database.query(
                "SELECT name, count(items.id), coalesce(sum(length(text)), 0) FROM collections"
                " LEFT JOIN items ON items.collection = collections.id GROUP BY name",
                (),
            )
            sizes = {name: (count, size) for name, count, size in counted}
            return [(found, *sizes[found.name]) for found in self.collections()]

    # Items

    def items(self, name: str, wanted: Wanted, after: str, budget: int) -> tuple[list[Item], bool]:
        """Return items in order of href after one, and whether there are more.

        As many as fit `budget` characters of text, one at least. Raises NoSuchCollectionError.
        """
        with self._database.reading():
            where, values = where_items(self._id(name), wanted, after)
            found = self._database.query(
                f"SELECT id, length(text) FROM items WHERE {where} ORDER BY href LIMIT ?",  # noqa: S608
                (*values, PAGE_ITEMS + 1),
            )
            fitting = fitting_ids(found[:PAGE_ITEMS], budget)
            marks = ", ".join("?" * len(fitting))
            rows = self._database.query(
                f"SELECT {ITEM} FROM items WHERE id IN ({marks}) ORDER BY href",  # noqa: S608
                fitting,
            )
        return [Item(*row) for row in rows], len(found) > len(fitting)

    def has_uid(self, name: str, uid: str) -> bool:
        """Say whether an item of a collection has a UID. Raises NoSuchCollectionError."""
        with self._database.reading():
            values = (self._id(name), uid)
            query = "SELECT 1 FROM items WHERE collection = ? AND uid = ? LIMIT 1"
            return bool(self._database.query(query, values))

    def put(self, name: str, item: Item, limit: int | None) -> None:
        """Keep an item, in place of one of the same href. Errors as of `create`."""
        with self._growing(len(item.text), limit):
            collection = self._id(name)
            self._put(collection, item, self._touch(collection))

    def remove(self, name: str, href: str) -> None:
        """Remove an item. Raises NoSuchCollectionError."""
        with self._database.writing():
            self._remove(self._id(name), href)

    def move(self, name: str, href: str, target: str, new: str) -> None:
        """Move an item, in place of one that is there. Raises NoSuchCollectionError."""
        with self._database.writing():
            query = f"SELECT {ITEM} FROM items WHERE collection = ? AND href = ?"  # noqa: S608
            rows = self._database.query(query, (self._id(name), href))
            if not rows:
                raise NoSuchCollectionError
            old = Item(*rows[0])
            collection = self._id(target)
            self._remove(self._id(name), href)
            moved = Item(
                new, old.uid, old.component, old.etag, old.begins, old.ends, old.text, old.changed
            )
            self._put(collection, moved, self._touch(collection))

    # Changes

    def changes(self, name: str, since: str) -> tuple[str, Sequence[str]]:
        """Return the state of a collection, and what came, changed or went since another state.

        "" stands for the state before there was anything. Raises NoSuchCollectionError, or
        UnknownStateError when that is so long ago that it is not known any more.
        """
        with self._database.reading():
            rows = self._database.query(
                "SELECT id, modseq, forgotten FROM collections WHERE name = ?", (name,)
            )
            if not rows:
                raise NoSuchCollectionError
            collection, modseq, forgotten = rows[0]
            start = 0
            if since:
                start = modseq_of(since, collection)
                if not forgotten <= start <= modseq:
                    raise UnknownStateError
            changed = self._database.query(
                "SELECT href FROM items WHERE collection = ? AND modseq > ?", (collection, start)
            )
            if since:
                changed += self._database.query(
                    "SELECT href FROM removed WHERE collection = ? AND modseq > ?",
                    (collection, start),
                )
        return f"{collection}-{modseq}", [href for (href,) in changed]

    def everything(self) -> Sequence[tuple[Collection, Sequence[Item]]]:
        """Return all collections with all that is in them."""
        with self._database.reading():
            return [(found, list(self._all(found.name))) for found in self.collections()]

    def move_in(self, source: str, everything: Sequence[tuple[Collection, Sequence[Item]]]) -> None:
        """Take over all that a former file has, once however often it is tried.

        A collection whose name is taken gets another one, unless it is empty.
        """
        with self._database.writing():
            if self._database.query("SELECT 1 FROM taken WHERE source = ?", (source,)):
                return
            names = {collection.name for collection in self.collections()}
            for collection, items in everything:
                if collection.name in names and not items:
                    continue
                name = free_name(collection.name, names)
                names.add(name)
                self._add(name, collection.properties, items)
            self._database.query("INSERT INTO taken (source) VALUES (?)", (source,))

    def _all(self, name: str) -> Iterator[Item]:
        after, more = "", True
        while more:
            page, more = self.items(name, Wanted(), after, 1 << 20)
            yield from page
            after = page[-1].href if page else ""

    # Within transactions

    def _id(self, name: str) -> int:
        rows = self._database.query("SELECT id FROM collections WHERE name = ?", (name,))
        if not rows:
            raise NoSuchCollectionError
        return int(rows[0][0])

    def _next(self) -> int:
        query = "UPDATE counters SET modseq = modseq + 1 RETURNING modseq"
        return int(self._database.query(query, ())[0][0])

    def _touch(self, collection: int) -> int:
        modseq = self._next()
        self._database.query(
            "UPDATE collections SET modseq = ?, changed = ? WHERE id = ?",
            (modseq, int(time.time()), collection),
        )
        return modseq

    def _add(self, name: str, properties: Mapping[str, str], items: Sequence[Item]) -> None:
        modseq = self._next()
        rows = self._database.query(
            "INSERT INTO collections (name, properties, modseq, forgotten, changed)"
            " VALUES (?, ?, ?, 0, ?) RETURNING id",
            (name, json.dumps(dict(properties)), modseq, int(time.time())),
        )
        for item in items:
            self._put(int(rows[0][0]), item, modseq)

    def _put(self, collection: int, item: Item, modseq: int) -> None:
        self._database.query(
            "INSERT INTO items (collection, href, uid, component, etag, begins, ends, text, modseq,"
            " changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (collection, href) DO"
            " UPDATE SET uid = excluded.uid, component = excluded.component, etag = excluded.etag,"
            " begins = excluded.begins, ends = excluded.ends, text = excluded.text,"
            " modseq = excluded.modseq, changed = excluded.changed",
            (
                *(collection, item.href, item.uid, item.component, item.etag),
                *(item.begins, item.ends, item.text, modseq, int(time.time())),
            ),
        )
        self._database.query(
            "DELETE FROM removed WHERE collection = ? AND href = ?", (collection, item.href)
        )

    def _remove(self, collection: int, href: str) -> None:
        query = "DELETE FROM items WHERE collection = ? AND href = ? RETURNING id"
        if not self._database.query(query, (collection, href)):
            raise NoSuchCollectionError
        modseq = self._touch(collection)
        self._database.query(
            "INSERT OR REPLACE INTO removed (collection, href, modseq) VALUES (?, ?, ?)",
            (collection, href, modseq),
        )
        old = self._database.query(
            "SELECT modseq FROM removed WHERE collection = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
            (collection, KEPT_REMOVALS),
        )
        if old:
            self._database.query(
                "UPDATE collections SET forgotten = ? WHERE id = ?", (old[0][0], collection)
            )
            self._database.query(
                "DELETE FROM removed WHERE collection = ? AND modseq <= ?", (collection, old[0][0])
            )

    @contextmanager
    def _growing(self, size: int, limit: int | None) -> Iterator[None]:
        """A transaction after which all texts may not be more than `limit` bytes."""
        require_room(self._database.path.parent, size)
        with self._database.writing():
            yield
            used = int(self._database.query("SELECT bytes FROM counters", ())[0][0])
            if limit is not None and used > limit:
                raise OverQuotaError(for_ever=size > limit)

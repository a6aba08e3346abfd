"""Calendars and contacts as values, and the rows of `collection_schema` that they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class NoSuchCollectionError(Exception):
    """There is no collection of that name, or no item of that name in it."""


class UnknownStateError(Exception):
    """A client asks for changes since a state that is not known (any more)."""


@dataclass(frozen=True)
class Collection:
    """A calendar or an address book. `state` changes with everything in it: `ID-MODSEQ`."""

    name: str  # "" for the person's own, which the others are in
    properties: Mapping[str, str] = field(repr=False)
    state: str
    changed: int  # seconds since 1970


@dataclass(frozen=True)
class Item:
    """An event, a task or a contact; `begins` and `ends` are seconds since 1970."""

    href: str
    uid: str = field(repr=False)
    component: str
    etag: str
    begins: int
    ends: int
    text: str = field(repr=False)
    changed: int = 0


@dataclass(frozen=True)
class Wanted:
    """Which items: of these names, None for all; of a component and a time, if given."""

    hrefs: Sequence[str] | None = None
    component: str | None = None
    begins: int | None = None  # those that end before are not wanted
    ends: int | None = None


COLLECTION = "name, properties, id || '-' || modseq, changed"
ITEM = "href, uid, component, etag, begins, ends, text, changed"


def read_collection(row: tuple[str, str, str, int]) -> Collection:
    """Return what a row of COLLECTION's columns is."""
    name, properties, state, changed = row
    return Collection(name, json.loads(properties), state, changed)


def where_items(collection: int, wanted: Wanted, after: str) -> tuple[str, list[str | int]]:
    """Return the conditions on items, with the values for their question marks."""
    where = ["collection = ?", "href > ?"]
    found: list[str | int] = [collection, after]
    if wanted.hrefs is not None:
        where.append(f"href IN ({', '.join('?' * len(wanted.hrefs))})")
        found += wanted.hrefs
    for condition, value in (
        ("component = ?", wanted.component),
        ("ends > ?", wanted.begins),
        ("begins < ?", wanted.ends),
    ):
        if value is not None:
            where.append(condition)
            found.append(value)
    return " AND ".join(where), found


def fitting_ids(sizes: Sequence[tuple[int, int]], budget: int) -> list[int]:
    """Return ids from the start whose sizes fit the budget, one at least."""
    fitting: list[int] = []
    for number, size in sizes:
        budget -= size
        if fitting and budget < 0:
            break
        fitting.append(number)
    return fitting


def modseq_of(state: str, collection: int) -> int:
    """Return the modseq of a state of a collection. Raises UnknownStateError."""
    owner, _, modseq = state.partition("-")
    if owner != str(collection) or not (modseq.isascii() and modseq.isdigit()) or len(modseq) > 18:
        raise UnknownStateError
    return int(modseq)


def free_name(name: str, taken: set[str]) -> str:
    """Return the name, or one with a number behind it that nobody has."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free

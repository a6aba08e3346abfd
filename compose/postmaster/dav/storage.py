"""Radicale's storage: collections of the person who has logged in, at the mail store.

Paths are `PERSON/COLLECTION/ITEM`. Whatever path Radicale asks for, a session leads to one person's
file only. Radicale looks and then writes (If-Match) under a lock; `dav` is one process and the only
one who writes, so that the lock is here, one for each person, and each write one transaction there.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import AbstractContextManager, contextmanager
from typing import Any, overload
from xml.etree import ElementTree as ET

from radicale.config import Configuration
from radicale.item import Item, find_available_uid, get_etag
from radicale.item.filter import TIMESTAMP_MAX, TIMESTAMP_MIN, simplify_prefilters
from radicale.pathutils import is_safe_path_component, strip_path, unstrip_path
from radicale.storage import BaseCollection, BaseStorage

from postmaster.dav.current import Current
from postmaster.dav.link import ProblemError
from postmaster.dav.protocol import Problem

STATE_URI = "data:,"  # before a state, so that it is a URI (RFC 6578 3.2)
SUFFIXES = {"VCALENDAR": ".ics", "VADDRESSBOOK": ".vcf"}
Child = Callable[[str, str | None], AbstractContextManager[None]]


class Collection(BaseCollection):
    """A collection as it was when it was looked for."""

    def __init__(self, storage: Storage, path: str, found: Mapping[str, Any]) -> None:
        self._storage = storage
        self._path = path
        self._found = found

    @property
    def path(self) -> str:
        return self._path

    @property
    def etag(self) -> str:
        return f'"{self._found["state"]}"'

    @property
    def last_modified(self) -> str:
        return _date(self._found["changed"])

    @property
    def _name(self) -> str:
        name: str = self._found["name"]
        return name

    def sync(self, old_token: str = "") -> tuple[str, Iterable[str]]:
        if old_token and not old_token.startswith(STATE_URI):
            raise ValueError("not a token of ours")
        since = old_token.removeprefix(STATE_URI)
        if old_token and not since:
            raise ValueError("not a token of ours")
        try:
            answer = self._storage.ask("changes", name=self._name, since=since)
        except ProblemError as error:
            if error.problem is Problem.UNKNOWN_STATE:
                raise ValueError("the token is too old") from None
            raise
        return STATE_URI + answer["state"], answer["hrefs"]

    def get_multi(self, hrefs: Iterable[str]) -> Iterable[tuple[str, Item | None]]:
        wanted = list(dict.fromkeys(hrefs))
        missing = set(wanted)
        for item in self._items(wanted):
            assert item.href is not None
            missing.discard(item.href)
            yield item.href, item
        for href in missing:
            yield href, None

    def get_all(self) -> Iterable[Item]:
        return self._items(None)

    def get_filtered(self, filters: Iterable[ET.Element]) -> Iterable[tuple[Item, bool]]:
        if not self.tag:
            return
        component, begins, ends, simple = simplify_prefilters(filters, self.tag)
        found = self._items(None, component=component, begins=begins, ends=ends)
        for item in found:
            first, last = item.time_range
            yield item, simple and (begins <= first or last <= ends)

    def has_uid(self, uid: str) -> bool:
        found: bool = self._storage.ask("has_uid", name=self._name, uid=uid)["found"]
        return found

    def upload(self, href: str, item: Item) -> tuple[Item, Item | None]:
        old = next((found for _, found in self.get_multi([href])), None)
        self._storage.ask("put", name=self._name, item=_shown(href, item))
        new = next((found for _, found in self.get_multi([href])), None)
        if new is None:
            raise ValueError("the item is gone")
        return new, old

    def delete(self, href: str | None = None) -> None:
        if href is None:
            self._storage.ask("delete", name=self._name)
        else:
            self._storage.ask("remove", name=self._name, href=href)

    @overload
    def get_meta(self, key: None = None) -> Mapping[str, str]: ...

    @overload
    def get_meta(self, key: str) -> str | None: ...

    def get_meta(self, key: str | None = None) -> Mapping[str, str] | str | None:
        properties: Mapping[str, str] = self._found["properties"]
        return properties if key is None else properties.get(key)

    def set_meta(self, props: Mapping[str, str]) -> None:
        self._storage.ask("properties", name=self._name, properties=dict(props))

    def _items(self, hrefs: list[str] | None, **wanted: Any) -> Iterator[Item]:
        if hrefs == [] or not (self._name and self.path):
            return  # what is in the person's own are collections
        for found in self._storage.items(self._name, hrefs, **wanted):
            yield Item(
                collection=self,
                href=found["href"],
                last_modified=_date(found["changed"]),
                etag=found["etag"],
                text=found["text"],
                uid=found["uid"],
                name=SUFFIX_NAMES.get(self.tag),
                component_name=found["component"],
                time_range=(found["begins"], found["ends"]),
            )


SUFFIX_NAMES = {"VCALENDAR": "VCALENDAR", "VADDRESSBOOK": "VCARD"}
_ROOT = {"name": "", "properties": {}, "state": "0", "changed": 0}


class Storage(BaseStorage):
    """Radicale's plugin; a `Current` comes with the type (`storage_type`)."""

    _is_collision_free = True
    _supports_unicode = True
    _supports_trailing_whitespace = True
    _supports_problematic_chars = True

    def __init__(self, configuration: Configuration, current: Current) -> None:
        super().__init__(configuration)
        self._current = current
        self._lock = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}

    def ask(self, op: str, **question: Any) -> dict[str, Any]:
        """Ask for something in the session of this request. Raises ProblemError."""
        try:
            return self._current.require().ask(op, **question)
        except ProblemError as error:
            self._current.note(error)
            raise

    def items(self, name: str, hrefs: list[str] | None, **wanted: Any) -> Iterator[dict[str, Any]]:
        """Return items of a collection. Raises ProblemError."""
        try:
            yield from self._current.require().items(name, hrefs, **wanted)
        except ProblemError as error:
            self._current.note(error)
            raise

    def discover(
        self,
        path: str,
        depth: str = "0",
        child_context_manager: Child | None = None,
        user_groups: Set[str] = frozenset(),  # noqa: ARG002 - there are none
    ) -> Iterator[Collection | Item]:
        parts = [part for part in strip_path(path).split("/") if part]
        within = child_context_manager or _no_context
        if not parts:
            yield Collection(self, "", _ROOT)
            return
        link = self._current.link
        if link is None or parts[0] != link.person or len(parts) > 3:
            return
        known = {found["name"]: found for found in self.ask("collections")["collections"]}
        name = parts[1] if len(parts) > 1 else ""
        if name not in known or (len(parts) > 1 and not name):
            return
        collection = Collection(self, "/".join(parts[:2]), known[name])
        if len(parts) == 3:
            for _, item in collection.get_multi([parts[2]]):
                if item is not None:
                    yield item
            return
        yield collection
        if depth == "0":
            return
        if not name:
            for child in filter(None, known):
                with within(f"{collection.path}/{child}", None):
                    yield Collection(self, f"{collection.path}/{child}", known[child])
            return
        for item in collection.get_all():
            with within(collection.path, item.href):
                yield item

    def move(self, item: Item, to_collection: BaseCollection, to_href: str) -> None:
        assert isinstance(item.collection, Collection)
        assert isinstance(to_collection, Collection)
        source, target = item.collection._name, to_collection._name
        self.ask("move", name=source, href=item.href, target=target, new=to_href)

    def create_collection(
        self,
        href: str,
        items: Iterable[Item] | None = None,
        props: Mapping[str, str] | None = None,
    ) -> tuple[BaseCollection, dict[str, Item], list[str]]:
        parts = [part for part in strip_path(href).split("/") if part]
        person = self._current.require().person
        if not 1 <= len(parts) <= 2 or parts[0] != person:
            raise ValueError("a collection lies in the person's own")
        path, name = "/".join(parts), parts[1] if len(parts) == 2 else ""
        if not props and next(iter(self.discover(unstrip_path(path))), None) is not None:
            return self._collection(path), {}, []
        suffix = SUFFIXES.get((props or {}).get("tag", ""))
        shown = list(_named(items or (), suffix)) if suffix else []
        self.ask("create", name=name, properties=dict(props or {}), items=shown)
        return self._collection(path), {}, [item["href"] for item in shown]

    def _collection(self, path: str) -> Collection:
        found = next(iter(self.discover(unstrip_path(path))), None)
        if not isinstance(found, Collection):
            raise ValueError("the collection is gone")
        return found

    @contextmanager
    def acquire_lock(
        self,
        mode: str,  # noqa: ARG002 - readers wait, too: it is for moments
        user: str = "",
        *_args: Any,
        **_kwargs: Any,
    ) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(user, threading.RLock())
        with lock:
            yield

    def verify(self) -> bool:
        return True


def storage_type(current: Current) -> Callable[[Configuration], BaseStorage]:
    """Return what Radicale makes its plugin with."""
    return lambda configuration: Storage(configuration, current)


def _shown(href: str, item: Item) -> dict[str, Any]:
    """An item as the mail store takes it."""
    begins, ends = item.time_range
    return {
        "href": href,
        "uid": item.uid,
        "component": item.component_name,
        "etag": item.etag,
        "begins": max(begins, TIMESTAMP_MIN),
        "ends": min(ends, TIMESTAMP_MAX),
        "text": item.serialize(),
    }


def _named(items: Iterable[Item], suffix: str) -> Iterator[dict[str, Any]]:
    """Items of a collection that came as one, each by a name from its UID that is free."""
    taken: set[str] = set()
    for item in items:
        plain = item.uid if item.uid.lower().endswith(suffix) else item.uid + suffix
        hashed = get_etag(item.uid).strip('"') + suffix
        free = (name for name in (plain, hashed) if name not in taken)
        href = next((name for name in free if is_safe_path_component(name)), None)
        href = href or find_available_uid(taken.__contains__, suffix)
        taken.add(href)
        yield _shown(href, item)


def _date(seconds: int) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(seconds))


def _no_context(_path: str, _href: str | None) -> AbstractContextManager[None]:
    return contextlib.nullcontext()

"""The mail store's side of `protocol`: logins, and what a session may do with its own file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from postmaster.dav.protocol import (
    FIRST_FRAME_BYTES,
    FRAME_BYTES,
    LENGTH,
    PAGE_CHARACTERS,
    Problem,
    decode,
    encode,
)
from postmaster.errors import (
    DirectoryUnavailableError,
    StorageFullError,
    StorageUnavailableError,
)
from postmaster.query import DirectoryQueries, VerdictKind, text_of
from postmaster.serving import Handler, drain
from postmaster.storage.collection_file import CollectionFile
from postmaster.storage.collection_store import (
    CollectionStore,
    OpenCollections,
    SessionEndedError,
)
from postmaster.storage.collection_values import (
    Item,
    NoSuchCollectionError,
    UnknownStateError,
    Wanted,
)
from postmaster.storage.interface import OverQuotaError

SERVICE = "dav"  # as the directory knows it
IDLE_SECONDS = 120.0  # of a connection

Answer = dict[str, Any]


def desk_handler(store: CollectionStore, directory: DirectoryQueries) -> Handler:
    """Return the connection handler of the mail store's port for `dav`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        desk = _Desk(store, directory)
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                    if length > (FRAME_BYTES if desk.trusted else FIRST_FRAME_BYTES):
                        return
                    data = await reader.readexactly(length)
            except TimeoutError:
                return
            writer.write(encode(await desk.answer(data)))
            await drain(writer)

    return handle


class _Desk:
    """One connection; `trusted` once a session was shown."""

    def __init__(self, store: CollectionStore, directory: DirectoryQueries) -> None:
        self.trusted = False
        self._store = store
        self._directory = directory

    async def answer(self, data: bytes) -> Answer:
        """Answer one question; what is wrong with it is in the answer."""
        try:
            question = decode(data)
            if question["op"] == "login":
                return await self._log_in(question)
            async with self._store.use(text_of(question, "session")) as collections:
                self.trusted = True
                return await _OPERATIONS[question["op"]](collections, question)
        except tuple(_PROBLEMS) as error:
            # No more of it than that: its text may hold a password.
            problem = next(_PROBLEMS[kind] for kind in type(error).__mro__ if kind in _PROBLEMS)
            return {"error": problem.value}

    async def _log_in(self, question: Answer) -> Answer:
        login, password, address = (
            text_of(question, key) for key in ("login", "password", "address")
        )
        verdict = await self._directory.authenticate(login, password, address, SERVICE)
        answer: Answer = {"verdict": verdict.kind.value}
        if verdict.kind is not VerdictKind.ACCEPTED:
            return answer
        if verdict.person is None or verdict.unlock is None:
            raise DirectoryUnavailableError("the directory gave no key with its verdict")
        unlock = verdict.unlock
        session = await self._store.begin(verdict.person, unlock.vault, unlock.key)
        return answer | {"session": session, "person": verdict.person}


async def _check(_collections: OpenCollections, _question: Answer) -> Answer:
    return {}


async def _list(collections: OpenCollections, _question: Answer) -> Answer:
    found = await collections.run(lambda file: file.collections())
    return {"collections": [asdict(collection) for collection in found]}


async def _create(collections: OpenCollections, question: Answer) -> Answer:
    name, properties = text_of(question, "name"), _properties(question)
    items = [_item(value) for value in question["items"]]
    limit = collections.limit
    await collections.run(lambda file: file.create(name, properties, items, limit))
    return {}


async def _set_properties(collections: OpenCollections, question: Answer) -> Answer:
    name, properties = text_of(question, "name"), _properties(question)
    await collections.run(lambda file: file.set_properties(name, properties))
    return {}


async def _delete(collections: OpenCollections, question: Answer) -> Answer:
    name = text_of(question, "name")
    await collections.run(lambda file: file.delete(name))
    return {}


async def _items(collections: OpenCollections, question: Answer) -> Answer:
    name, after, wanted = text_of(question, "name"), text_of(question, "after"), _wanted(question)
    items, more = await collections.run(
        lambda file: file.items(name, wanted, after, PAGE_CHARACTERS)
    )
    return {"items": [asdict(item) for item in items], "more": more}


async def _has_uid(collections: OpenCollections, question: Answer) -> Answer:
    name, uid = text_of(question, "name"), text_of(question, "uid")
    return {"found": await collections.run(lambda file: file.has_uid(name, uid))}


async def _put(collections: OpenCollections, question: Answer) -> Answer:
    name, item, limit = text_of(question, "name"), _item(question["item"]), collections.limit
    await collections.run(lambda file: file.put(name, item, limit))
    return {}


async def _remove(collections: OpenCollections, question: Answer) -> Answer:
    name, href = text_of(question, "name"), text_of(question, "href")
    await collections.run(lambda file: file.remove(name, href))
    return {}


async def _move(collections: OpenCollections, question: Answer) -> Answer:
    names = [text_of(question, key) for key in ("name", "href", "target", "new")]
    await collections.run(lambda file: file.move(*names))
    return {}


async def _changes(collections: OpenCollections, question: Answer) -> Answer:
    name, since = text_of(question, "name"), text_of(question, "since")

    def ask(file: CollectionFile) -> Answer:
        state, hrefs = file.changes(name, since)
        return {"state": state, "hrefs": list(hrefs)}

    return await collections.run(ask)


_Operation = Callable[[OpenCollections, Answer], Awaitable[Answer]]
_OPERATIONS: Mapping[str, _Operation] = {
    "check": _check,
    "collections": _list,
    "create": _create,
    "properties": _set_properties,
    "delete": _delete,
    "items": _items,
    "has_uid": _has_uid,
    "put": _put,
    "remove": _remove,
    "move": _move,
    "changes": _changes,
}


# By the nearest class of an error.
_PROBLEMS: Mapping[type[BaseException], Problem] = {
    SessionEndedError: Problem.SESSION,
    NoSuchCollectionError: Problem.NOT_FOUND,
    UnknownStateError: Problem.UNKNOWN_STATE,
    OverQuotaError: Problem.NO_ROOM,
    StorageFullError: Problem.NO_ROOM,
    StorageUnavailableError: Problem.UNAVAILABLE,
    DirectoryUnavailableError: Problem.UNAVAILABLE,
    KeyError: Problem.BAD_QUESTION,
    TypeError: Problem.BAD_QUESTION,
    ValueError: Problem.BAD_QUESTION,
}


def _number(question: Answer, key: str) -> int:
    value = question[key]
    if not isinstance(value, int) or not -(1 << 63) <= value < 1 << 63:
        raise TypeError
    return value


def _properties(question: Answer) -> dict[str, str]:
    found = question["properties"]
    return {text_of({"name": name}, "name"): text_of(found, name) for name in found}


def _item(value: Any) -> Item:
    return Item(
        href=text_of(value, "href"),
        uid=text_of(value, "uid"),
        component=text_of(value, "component"),
        etag=text_of(value, "etag"),
        begins=_number(value, "begins"),
        ends=_number(value, "ends"),
        text=text_of(value, "text"),
    )


def _wanted(question: Answer) -> Wanted:
    hrefs = question["hrefs"]
    return Wanted(
        None if hrefs is None else [text_of({"href": href}, "href") for href in hrefs],
        None if question["component"] is None else text_of(question, "component"),
        None if question["begins"] is None else _number(question, "begins"),
        None if question["ends"] is None else _number(question, "ends"),
    )

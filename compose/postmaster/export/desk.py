"""The mail store's side of `protocol`: counts what is in a vault, or sends all of it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from postmaster.crypto import DataKey
from postmaster.crypto.wraps import Scope, scope_key
from postmaster.errors import DirectoryUnavailableError, StorageUnavailableError
from postmaster.export.everything import Everything, count, pieces_of
from postmaster.export.protocol import FRAME_BYTES, LENGTH, Problem
from postmaster.logs import event, warn
from postmaster.query import Pass, PassQueries, text_of
from postmaster.serving import Handler
from postmaster.storage.collection_store import CollectionStore
from postmaster.storage.vaults import VaultStore

logger = logging.getLogger(__name__)

MOST_EXPORTS = 2  # at once; each has a message or two in memory
QUESTION_SECONDS = 10.0
STALL_SECONDS = 120.0  # without a byte that the other end takes
EXPORT_SECONDS = 12 * 3600.0

COUNT, EXPORT = "count", "export"

Answer = dict[str, Any]


class _ProblemError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True)
class _Question:
    """What `admin` wants; `texts` for an export."""

    op: str
    key: str = field(repr=False)
    texts: Mapping[str, str] = field(repr=False)


@dataclass
class ExportDesk:
    """Answers `admin`, for whoever has a pass."""

    store: VaultStore
    collections: CollectionStore
    directory: PassQueries
    _exporting: set[str] = field(default_factory=set, init=False)

    def handler(self) -> Handler:
        """Return the connection handler of the port."""
        return self._handle

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        problem = Problem.UNAVAILABLE
        try:
            async with asyncio.timeout(QUESTION_SECONDS):
                question = _read(await _line_of(reader))
            found = await self._redeem(question)
            with self._admitted(found):
                async with self._opened(found) as everything:
                    if question.op == EXPORT:
                        await _export(everything, question.texts, writer)
                    else:
                        await _send(writer, _line(await count(everything)))
            return
        except _ProblemError as error:
            problem = error.problem
        except (StorageUnavailableError, DirectoryUnavailableError):
            pass
        await _send(writer, _line({"ok": False, "problem": problem.value}))

    async def _redeem(self, question: _Question) -> Pass:
        found = await self.directory.redeem(question.key)
        if found is not None and found.purpose == question.op:
            return found
        if found is not None:
            found.unlock.wipe()
        raise _ProblemError(Problem.PASS)

    @contextmanager
    def _admitted(self, found: Pass) -> Iterator[None]:
        """Have one export of a person at a time, and few of all."""
        if found.purpose != EXPORT:
            yield
            return
        if found.person in self._exporting or len(self._exporting) >= MOST_EXPORTS:
            found.unlock.wipe()
            raise _ProblemError(Problem.BUSY)
        self._exporting.add(found.person)
        try:
            yield
        finally:
            self._exporting.discard(found.person)

    @asynccontextmanager
    async def _opened(self, found: Pass) -> AsyncIterator[Everything]:
        """Open it for as long as the context lasts. The keys of the pass are the stores' then."""
        unlock, session = found.unlock, ""
        key = DataKey(scope_key(unlock.key, Scope.DAV))
        try:
            await self.store.unlock(found.person, unlock)
            async with self.store.open(found.person) as vault:
                if not self.collections.has(unlock.vault):
                    yield Everything(vault, None)
                    return
                session = await self.collections.begin(found.person, unlock.vault, key)
                async with self.collections.use(session) as collections:
                    yield Everything(vault, collections)
        finally:
            if session:
                self.collections.end(session)
            else:
                key.wipe()


async def _export(
    everything: Everything, texts: Mapping[str, str], writer: asyncio.StreamWriter
) -> None:
    """Send all of it; what stops in the midst misses its last frame.

    Raises ConnectionError or TimeoutError when the other end goes away.
    """
    sent = 0
    await _send(writer, _line({"ok": True}))
    try:
        async with (
            asyncio.timeout(EXPORT_SECONDS),
            aclosing(pieces_of(everything, texts)) as pieces,
        ):
            async for piece in pieces:
                for at in range(0, len(piece), FRAME_BYTES):
                    frame = piece[at : at + FRAME_BYTES]
                    await _send(writer, LENGTH.pack(len(frame)) + frame)
                sent += len(piece)
    except StorageUnavailableError as error:
        warn(logger, "export-stopped", vault=everything.vault.name, reason=str(error))
        return
    await _send(writer, LENGTH.pack(0))
    event(logger, "exported", vault=everything.vault.name, bytes=sent)


def _read(line: bytes) -> _Question:
    try:
        found = json.loads(line)
        op, key = text_of(found, "op"), text_of(found, "pass")
        if op == COUNT:
            return _Question(op, key, {})
        if op == EXPORT:
            texts = {name: text_of(found["texts"], name) for name in found["texts"]}
            return _Question(op, key, texts)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass  # the text of the error may hold what a person typed
    raise _ProblemError(Problem.BAD_QUESTION)


async def _line_of(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError:  # too long
        raise _ProblemError(Problem.BAD_QUESTION) from None


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    async with asyncio.timeout(STALL_SECONDS):
        await writer.drain()


def _line(answer: Answer) -> bytes:
    return json.dumps(answer).encode() + b"\n"

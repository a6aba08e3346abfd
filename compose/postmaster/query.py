"""How `mailstore` asks `directory`: one JSON object a line each way, both ends in one place.

| `op` | Request | Answer |
|---|---|---|
| `authenticate` | `login`, `password`, `address`, `service` | `verdict`, `person` |
| `resolve` | `address` | `person`, or null |
| `quota` | `person` | `quota`: bytes, or null |

Or `{"error": text}`. A connection may carry several requests, one after the other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from postmaster.errors import DirectoryUnavailableError
from postmaster.serving import drain

LINE_LIMIT = 16 * 1024
ANSWER_SECONDS = 30.0  # a password check may have to wait for its turn


class VerdictKind(Enum):
    """What became of a login."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    LIMITED = "limited"
    TEMPORARY = "temporary"


@dataclass(frozen=True)
class Verdict:
    """The answer to a login; `person` is the main address, set when accepted."""

    kind: VerdictKind
    person: str | None = None


class DirectoryQueries(Protocol):
    """What other services may ask the directory. Raises DirectoryUnavailableError."""

    async def authenticate(self, login: str, password: str, address: str, service: str) -> Verdict:
        """Judge a login from the client's IP address to a service such as `imap`."""

    async def resolve(self, address: str) -> str | None:
        """Return the main address of the person who gets mail for `address`."""


class QuotaQueries(Protocol):
    """What the mail store asks besides. Raises DirectoryUnavailableError."""

    async def quota(self, person: str) -> int | None:
        """Return how many bytes the person with this main address may keep, None for all."""


class DirectoryAnswers(DirectoryQueries, QuotaQueries, Protocol):
    """All that the directory answers."""


class DirectoryClient:
    """`DirectoryAnswers` over the network, a connection a question."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def authenticate(self, login: str, password: str, address: str, service: str) -> Verdict:
        """See `DirectoryQueries.authenticate`."""
        answer = await self._ask(
            {
                "op": "authenticate",
                "login": login,
                "password": password,
                "address": address,
                "service": service,
            }
        )
        try:
            kind = VerdictKind(answer["verdict"])
            person = answer.get("person")
            if kind is VerdictKind.ACCEPTED and not isinstance(person, str):
                raise ValueError("accepted, but nobody")
        except (KeyError, ValueError) as error:
            raise DirectoryUnavailableError("the directory gave no verdict") from error
        return Verdict(kind, person)

    async def resolve(self, address: str) -> str | None:
        """See `DirectoryQueries.resolve`."""
        answer = await self._ask({"op": "resolve", "address": address})
        person = answer.get("person")
        if person is not None and not isinstance(person, str):
            raise DirectoryUnavailableError("the directory named no person")
        return person

    async def quota(self, person: str) -> int | None:
        """See `QuotaQueries.quota`."""
        quota = (await self._ask({"op": "quota", "person": person})).get("quota")
        if quota is not None and (not isinstance(quota, int) or quota < 0):
            raise DirectoryUnavailableError("the directory named no quota")
        return quota

    async def _ask(self, request: dict[str, str]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await self._exchange(json.dumps(request).encode() + b"\n")
            answer = json.loads(line)
        except (OSError, TimeoutError, ValueError) as error:
            where = f"{self._host}:{self._port}"
            kind = type(error).__name__
            raise DirectoryUnavailableError(
                f"no answer from the directory {where}: {kind}"
            ) from None
        if not isinstance(answer, dict) or "error" in answer:
            raise DirectoryUnavailableError("the directory could not answer")
        return answer

    async def _exchange(self, line: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=LINE_LIMIT)
        try:
            writer.write(line)
            await writer.drain()
            return await reader.readline()
        finally:
            writer.close()


def query_handler(
    queries: DirectoryAnswers,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return the server side: a connection handler that answers for `queries`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                return  # longer than any question can be
            if not line.endswith(b"\n"):
                return
            writer.write(json.dumps(await _answer(queries, line)).encode() + b"\n")
            await drain(writer)

    return handle


async def _answer(queries: DirectoryAnswers, line: bytes) -> dict[str, str | int | None]:
    try:
        request = json.loads(line)
        operation = request["op"]
        if operation == "resolve":
            return {"person": await queries.resolve(_text(request, "address"))}
        if operation == "quota":
            return {"quota": await queries.quota(_text(request, "person"))}
        if operation == "authenticate":
            fields = (_text(request, key) for key in ("login", "password", "address", "service"))
            verdict = await queries.authenticate(*fields)
            return {"verdict": verdict.kind.value, "person": verdict.person}
    except (ValueError, KeyError, TypeError, RecursionError):
        pass  # the text of the error may hold a password
    return {"error": "bad request"}


def _text(request: Any, key: str) -> str:
    value = request[key]
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # UnicodeEncodeError, a ValueError, for lone surrogates
    return value

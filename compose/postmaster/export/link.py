"""The side of `admin` of `protocol`, light to import."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from postmaster.export.protocol import ANSWER_BYTES, LENGTH, Problem

ANSWER_SECONDS = 95.0  # the vault may have to take in first what has waited
CUT = "the mail store did not send all of it"


class ExportError(Exception):
    """The mail store did not do it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True)
class VaultLink:
    """Asks the mail store. Methods raise ExportError."""

    host: str
    port: int

    async def count(self, key: str) -> Mapping[str, Any]:
        """Return how much is in the vault that a pass is for."""
        answer, _, writer = await self._ask({"op": "count", "pass": key})
        writer.close()
        return answer

    async def export(self, key: str, texts: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Return all of it as a ZIP file, which begins with `texts`.

        What is returned raises OSError when the file does not become whole. Whoever does not read
        to the end calls `aclose`.
        """
        _, reader, writer = await self._ask({"op": "export", "pass": key, "texts": dict(texts)})
        return _frames(reader, writer)

    async def _ask(
        self, question: Mapping[str, Any]
    ) -> tuple[dict[str, Any], asyncio.StreamReader, asyncio.StreamWriter]:
        writer: asyncio.StreamWriter | None = None
        problem = Problem.UNAVAILABLE
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(
                    self.host, self.port, limit=ANSWER_BYTES
                )
                writer.write(json.dumps(question).encode() + b"\n")
                await writer.drain()
                answer = json.loads(await reader.readline())
            if answer["ok"] is True:
                return answer, reader, writer
            problem = Problem(answer["problem"])
        except (OSError, ValueError, KeyError, TypeError, TimeoutError):
            pass
        if writer is not None:
            writer.close()
        raise ExportError(problem)


async def _frames(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> AsyncIterator[bytes]:
    try:
        while True:
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            if not length:
                return
            yield await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        raise ConnectionError(CUT) from None
    finally:
        writer.close()

"""Lines asked and answered over TCP, on connections that are kept for the next question.

Making one takes longer than most answers: the name has to be looked up, in a thread, and both ends
set a connection up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from postmaster.serving import Handler, drain

KEPT = 8  # connections that wait for a question

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Asker:
    """Connections to one port. Use it within one event loop, and close it there."""

    def __init__(self, host: str, port: int, line_limit: int) -> None:
        """`line_limit`: bytes that an answer may have."""
        self._host = host
        self._port = port
        self._line_limit = line_limit
        self._kept: list[_Connection] = []

    async def ask(self, line: bytes) -> bytes:
        """Send a line and return the one that answers it, without an end when there was none.

        A kept connection may have ended meanwhile; then the question goes out once more on a new
        one, so it has to be one that may be asked twice. Raises OSError or ValueError.
        """
        while self._kept:
            connection = self._kept.pop()
            if connection[0].at_eof() or connection[1].is_closing():
                connection[1].close()
                continue
            try:
                answer = await self._exchange(connection, line)
            except OSError:
                break
            if answer:
                return answer
            break
        made = await asyncio.open_connection(self._host, self._port, limit=self._line_limit)
        return await self._exchange(made, line)

    def close(self) -> None:
        """Close what is kept."""
        while self._kept:
            self._kept.pop()[1].close()

    async def _exchange(self, connection: _Connection, line: bytes) -> bytes:
        reader, writer = connection
        whole = False
        try:
            writer.write(line)
            await writer.drain()
            answer = await reader.readline()
            whole = answer.endswith(b"\n")
            return answer
        finally:
            # Not when the wait was given up: the answer may still come, and is nobody else's.
            if whole and len(self._kept) < KEPT:
                self._kept.append(connection)
            else:
                writer.close()


def answering_lines(answer: Callable[[bytes], Awaitable[Mapping[str, Any]]]) -> Handler:
    """Return the other side: a connection handler. A line of JSON answers each line.

    A connection with a line longer than its limit, or without an end, is closed.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                return
            if not line.endswith(b"\n"):
                return
            writer.write(json.dumps(await answer(line)).encode() + b"\n")
            await drain(writer)

    return handle

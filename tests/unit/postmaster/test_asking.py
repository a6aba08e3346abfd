"""Questions to another service: connections are kept, and none is taken for good that has ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from postmaster.asking import KEPT, Asker


@dataclass
class Echo:
    """A server that answers each line with the same line; it can be told to hang up, or to wait."""

    port: int = 0
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    silent: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        while line := await reader.readline():
            if not self.silent:
                writer.write(line)
        writer.close()


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[tuple[Echo, Asker]]:
    answers = Echo()
    server = await asyncio.start_server(answers.serve, "127.0.0.1", 0)
    answers.port = server.sockets[0].getsockname()[1]
    asker = Asker("127.0.0.1", answers.port, 1000)
    try:
        yield answers, asker
    finally:
        asker.close()
        server.close()


def test_questions_share_a_connection() -> None:
    async def run() -> None:
        async with echo() as (server, asker):
            for number in range(5):
                assert await asker.ask(b"%d\n" % number) == b"%d\n" % number
            assert server.connections == 1

    asyncio.run(run())


def test_questions_at_the_same_time_have_one_each() -> None:
    async def run() -> None:
        async with echo() as (server, asker):
            lines = [b"%d\n" % number for number in range(KEPT + 4)]
            for _ in range(2):
                assert await asyncio.gather(*map(asker.ask, lines)) == lines
            # No more than the bound were kept for the second time.
            assert server.connections == len(lines) + 4

    asyncio.run(run())


def test_a_connection_that_has_ended_is_made_anew() -> None:
    async def run() -> None:
        async with echo() as (server, asker):
            await asker.ask(b"one\n")
            server.writers[0].close()  # as when the other service is started again
            await server.writers[0].wait_closed()
            assert await asker.ask(b"two\n") == b"two\n"
            assert server.connections == 2

    asyncio.run(run())


def test_a_late_answer_is_nobody_elses() -> None:
    async def run() -> None:
        async with echo() as (server, asker):
            await asker.ask(b"one\n")
            server.silent = True
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await asker.ask(b"two\n")
            server.silent = False
            assert await asker.ask(b"three\n") == b"three\n"
            assert server.connections == 2

    asyncio.run(run())


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(Asker("127.0.0.1", 9, 1000).ask(b"one\n"))

"""Sessions share memory and a number: who asks for too much waits, or is told so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from postmaster.imap.outcome import RefusedError
from postmaster.imap.session import Channel, Session
from postmaster.learning import Teacher
from postmaster.memory import MemoryBudget
from postmaster.query import DirectoryQueries
from postmaster.services import Services
from postmaster.serving import ConnectionLimits
from postmaster.storage.interface import MailStore, OpenMailbox


def test_what_has_no_room_waits_for_its_turn() -> None:
    async def run() -> list[str]:
        budget, order = MemoryBudget(total=10, per_person=10), []

        async def use(person: str, size: int) -> None:
            async with budget.hold(person, size):
                order.append(f"{person} in")
                await asyncio.sleep(0)
                order.append(f"{person} out")

        await asyncio.gather(use("a", 8), use("b", 8), use("c", 2))
        return order

    order = asyncio.run(run())
    assert order.index("c in") < order.index("a out")
    assert order.index("b in") > order.index("a out")


def test_one_person_gets_a_part() -> None:
    async def run() -> None:
        budget = MemoryBudget(total=10, per_person=6, seconds=0.01)
        async with budget.hold("a", 6):
            async with budget.hold("b", 4):
                pass
            with pytest.raises(TimeoutError):
                async with budget.hold("a", 1):
                    pass
        async with budget.hold("a", 1_000_000):  # beyond all bounds: alone, not never
            with pytest.raises(TimeoutError):
                async with budget.hold("a", 1):
                    pass
        assert not budget._held

    asyncio.run(run())


class Store:
    """A mail store that opens for everybody."""

    @asynccontextmanager
    async def open(self, _address: str) -> AsyncIterator[OpenMailbox]:
        yield cast(OpenMailbox, object())


def test_one_person_has_a_limit_on_sessions() -> None:
    services = Services(
        cast(MailStore, Store()),
        cast(DirectoryQueries, None),
        message_size_limit=1,
        teacher=cast(Teacher, None),
        people=ConnectionLimits(per_address=1),
    )
    first, second, other = (Session(services, cast(Channel, None)) for _ in range(3))

    async def run() -> None:
        await first.log_in("a@example.com")
        await other.log_in("b@example.com")
        with pytest.raises(RefusedError, match="too many sessions"):
            await second.log_in("a@example.com")
        await first.close()
        await second.log_in("a@example.com")

    asyncio.run(run())

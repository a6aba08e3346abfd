"""Sessions share memory and a number: who asks for too much waits, or is told so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import pytest

from postmaster.imap.commands.searching import HIT_BYTES, TEXT_BYTES
from postmaster.imap.commands.sorting import ENTRY_BYTES, KEY_BYTES, ROW_BYTES
from postmaster.imap.outcome import RefusedError
from postmaster.imap.session import Channel, Session
from postmaster.learning import Teacher
from postmaster.memory import MemoryBudget
from postmaster.query import DirectoryQueries
from postmaster.services import Services
from postmaster.serving import ConnectionLimits
from postmaster.storage.interface import MailStore, OpenMailbox
from tests.unit.postmaster.harness import RawImap

MESSAGE = b"Subject: one\r\n\r\ntwo\r\n"


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


@pytest.mark.parametrize(
    ("command", "of_each"),
    [
        ("SEARCH ALL", HIT_BYTES),
        ("UID SEARCH RETURN (COUNT) OR SUBJECT one TEXT two", HIT_BYTES + 2 * TEXT_BYTES),
        ("SORT (SIZE REVERSE DATE) UTF-8 BODY two", ROW_BYTES + 2 * KEY_BYTES + TEXT_BYTES),
        ("THREAD REFERENCES UTF-8 ALL", ENTRY_BYTES),
    ],
)
def test_a_search_asks_for_what_it_may_keep(
    imap: RawImap, monkeypatch: pytest.MonkeyPatch, command: str, of_each: int
) -> None:
    for _ in range(3):
        imap.append(MESSAGE)
    imap.ok("SELECT INBOX")
    asked: list[int] = []
    hold = MemoryBudget.hold

    def recorded(budget: MemoryBudget, person: str, size: int) -> AbstractAsyncContextManager[None]:
        asked.append(size)
        return hold(budget, person, size)

    monkeypatch.setattr(MemoryBudget, "hold", recorded)
    imap.ok(command)
    assert asked == [3 * of_each]


def test_without_memory_a_search_is_put_off(imap: RawImap, monkeypatch: pytest.MonkeyPatch) -> None:
    imap.append(MESSAGE)
    imap.ok("SELECT INBOX")
    imap.ok("SEARCH RETURN (SAVE) ALL")

    @asynccontextmanager
    async def full(_budget: MemoryBudget, _person: str, _size: int) -> AsyncIterator[None]:
        raise TimeoutError
        yield

    with monkeypatch.context() as patched:
        patched.setattr(MemoryBudget, "hold", full)
        for command in ("SEARCH ALL", "SORT (SIZE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL"):
            assert imap.command(command)[0].startswith(b"NO [UNAVAILABLE]")
    assert imap.ok("SEARCH $") == [b"* SEARCH 1"]
    with monkeypatch.context() as patched:
        patched.setattr(MemoryBudget, "hold", full)
        assert imap.command("SEARCH RETURN (SAVE) ALL")[0].startswith(b"NO [UNAVAILABLE]")
    assert imap.ok("SEARCH $") == [b"* SEARCH"]  # RFC 9051 6.4.4.1

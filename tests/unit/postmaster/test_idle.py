"""What can wait is done when a vault is idle, and never in somebody's way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from postmaster.delivery import deliver
from postmaster.errors import StorageUnavailableError
from postmaster.storage import idle
from postmaster.storage.idle import Idle
from postmaster.storage.interface import Mailbox
from tests.unit.postmaster.harness import ADA, DEADLINE
from tests.unit.postmaster.store import Place


class Work:
    """A vault's thread with so many steps to do."""

    def __init__(self, steps: int, error: Exception | None = None) -> None:
        self.left = steps
        self.calls = 0
        self.error = error
        self.done = asyncio.Event()

    async def run(self, _work: object) -> bool:
        self.calls += 1
        if self.error is not None:
            self.done.set()
            raise self.error
        self.left -= 1
        if not self.left:
            self.done.set()
        return self.left > 0


def test_steps_follow_until_all_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "IDLE_SECONDS", 0.0)

    async def main() -> int:
        work = Work(5)
        subject = Idle(work.run)
        subject.touch()
        await asyncio.wait_for(work.done.wait(), DEADLINE)
        await subject.stop()
        return work.calls

    assert asyncio.run(main()) == 5


def test_a_vault_in_use_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "IDLE_SECONDS", 1000.0)

    async def main() -> int:
        work = Work(5)
        subject = Idle(work.run)
        subject.touch()
        subject.touch()
        await subject.stop()
        subject.touch()  # after the end
        await asyncio.sleep(0)  # its turn, if it took one
        return work.calls

    assert asyncio.run(main()) == 0


def test_a_fault_ends_it_until_the_next_use(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(idle, "IDLE_SECONDS", 0.0)

    async def main() -> int:
        work = Work(5, StorageUnavailableError("no disk"))
        subject = Idle(work.run)
        subject.touch()
        await asyncio.wait_for(work.done.wait(), DEADLINE)
        await subject.stop()
        return work.calls

    assert asyncio.run(main()) == 1
    assert "no disk" in caplog.text


def test_a_delivered_message_gets_into_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "IDLE_SECONDS", 0.0)

    def unindexed(box: Mailbox) -> int:
        ((count,),) = box._query("SELECT count(*) FROM unindexed", ())  # type: ignore[attr-defined]
        return int(count)

    async def main() -> None:
        place = Place(tmp_path)
        store = place.store()
        await store.unlock(ADA, place.directory.give(ADA))
        await deliver(store, ADA, b"Subject: x\r\n\r\nbody")
        async with store.open(ADA) as box:
            async with asyncio.timeout(DEADLINE):
                while await box.run(unindexed):
                    await asyncio.sleep(0.005)  # asking without a pause would keep it in use
        await store.close()

    asyncio.run(main())

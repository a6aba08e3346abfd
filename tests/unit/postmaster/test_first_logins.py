"""When what a first login leaves to do is done: behind logins that wait, but not behind all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postmaster.crypto import DataKey
from postmaster.crypto.wraps import WrapKind
from postmaster.directory.accounts import Accounts
from postmaster.directory.database import DirectoryDatabase
from postmaster.directory.first_logins import FirstLogins
from postmaster.directory.keyring import Keyring
from tests.unit.postmaster.harness import ADA, CHEAP, DEADLINE, PASSWORD


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[Keyring]:
    database = DirectoryDatabase(tmp_path, DataKey(bytes(32)))
    yield Keyring(database, bytes(32), CHEAP)
    database.close()


def wraps(keyring: Keyring) -> set[WrapKind]:
    return set(keyring.entry(ADA).vault.wraps)


def first_logins(keyring: Keyring, *, patience: float, rest: float = 0.0) -> FirstLogins:
    async def run(work: Callable[[], bool]) -> bool:
        return work()

    return FirstLogins(Accounts(keyring), run, rest=rest, patience=patience)


def test_logins_that_wait_go_first(keyring: Keyring) -> None:
    async def check() -> None:
        first = first_logins(keyring, patience=3600)
        first.set_busy(busy=True)
        assert wraps(keyring) == {WrapKind.PROVISIONAL}
        first.note(ADA, PASSWORD)
        first.note(ADA, "another, which is not taken")
        for _ in range(20):
            await asyncio.sleep(0)
        assert wraps(keyring) == {WrapKind.PROVISIONAL}
        first.set_busy(busy=False)
        await first.finish()

    asyncio.run(check())
    assert wraps(keyring) == {WrapKind.PASSWORD}
    assert keyring.open(keyring.entry(ADA).vault, WrapKind.PASSWORD, PASSWORD.encode()) is not None


def test_the_next_login_has_the_processor_for_itself(keyring: Keyring) -> None:
    """A mail program that has read its mail logs in for sending, and must not wait long."""

    async def check() -> None:
        first = first_logins(keyring, patience=3600, rest=3600)
        first.note(ADA, PASSWORD)
        for busy in (True, False):
            first.set_busy(busy=busy)
            for _ in range(20):
                await asyncio.sleep(0)
            assert wraps(keyring) == {WrapKind.PROVISIONAL}
        await first.finish()

    asyncio.run(check())
    assert wraps(keyring) == {WrapKind.PASSWORD}


def test_where_logins_wait_all_the_time_it_goes_in_between(keyring: Keyring) -> None:
    assert wraps(keyring) == {WrapKind.PROVISIONAL}

    async def check() -> None:
        first = first_logins(keyring, patience=0.01)
        first.set_busy(busy=True)
        first.note(ADA, PASSWORD)
        async with asyncio.timeout(DEADLINE):
            while wraps(keyring) != {WrapKind.PASSWORD}:
                await asyncio.sleep(0.005)

    asyncio.run(check())


def test_what_is_destroyed_just_before_a_cut_leaves_the_log_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log must not keep the wrap that the machine itself can open."""
    with monkeypatch.context() as patched:
        patched.setattr(DirectoryDatabase, "forget_log", lambda _: None)
        database = DirectoryDatabase(tmp_path, DataKey(bytes(32)))
        keyring = Keyring(database, bytes(32), CHEAP)
        assert keyring.lock_provisional(keyring.entry(ADA), PASSWORD)
    log = tmp_path / "directory.db-wal"
    assert log.stat().st_size > 0
    again = DirectoryDatabase(tmp_path, DataKey(bytes(32)))
    assert log.stat().st_size == 0
    again.close()
    database.close()

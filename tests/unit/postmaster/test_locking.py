"""Vaults are locked without a login: mail is sealed, a login takes it in, keys go again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.waiting import wait_for
from postmaster.crypto import DataKey, FileKeyStore, PersonId, person_id
from postmaster.delivery import deliver
from postmaster.errors import DirectoryUnavailableError, StorageFullError, VaultLockedError
from postmaster.query import Unlock
from postmaster.storage.interface import NewMessage, arrival_time
from postmaster.storage.spool import Spool
from postmaster.storage.vault import Vault
from postmaster.storage.vaults import VaultStore
from tests.keyfiles import make_key_file
from tests.states.make import read_mail
from tests.unit.postmaster.harness import ADA, BOB, CANARY, CANARY_PASSWORD, DEADLINE, Stack, until
from tests.unit.postmaster.store import FakeDirectory, Place

MESSAGE = b"Subject: Marmalade\r\n\r\nxylophone-quartz\r\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


async def inbox(store: VaultStore, place: Place, person: str = ADA) -> list[bytes]:
    """Log somebody in and return the messages of the inbox."""
    vault = place.directory.vaults.get(person, (None, b""))[0]
    await store.unlock(person, place.directory.give(person, vault))
    async with store.open(person) as mailbox:
        mail = await mailbox.run(read_mail)
    return [message["raw"].encode("latin-1") for message in mail["INBOX"]["messages"]]


def test_a_locked_vault_does_not_open(place: Place) -> None:
    async def check() -> None:
        store = place.store()
        with pytest.raises(VaultLockedError):
            async with store.open(ADA):
                pass
        await store.close()

    run(check())


def test_mail_for_a_locked_vault_is_sealed_and_comes_in_order(place: Place) -> None:
    async def check() -> None:
        store = place.store()
        messages = [b"Subject: %d\r\n\r\n" % number for number in range(40)]
        for message in messages:
            await deliver(store, ADA, message)
        assert len(place.sealed(person_id(ADA))) == len(messages)
        assert list(place.vaults.iterdir()) == []
        assert await inbox(store, place) == messages
        assert place.sealed() == []
        # While it is open, mail goes right in.
        await deliver(store, ADA, MESSAGE)
        assert place.sealed() == []
        assert await inbox(store, place) == [*messages, MESSAGE]
        await store.close()

    run(check())


def test_sealed_mail_tells_nothing_but_its_size(place: Place) -> None:
    async def check() -> None:
        store = place.store()
        await deliver(store, ADA, MESSAGE)
        await store.close()
        (file,) = place.sealed()
        assert ADA not in str(file)
        content = file.read_bytes()
        for word in (b"Marmalade", b"xylophone", b"ada@"):
            assert word not in content
        assert file.stat().st_mode & 0o777 == 0o600

    run(check())


def test_keys_leave_with_the_grace_period(place: Place) -> None:
    async def check() -> None:
        store = place.store(grace=0.05)
        unlock = place.directory.give(ADA)
        await store.unlock(ADA, unlock)
        async with store.open(ADA):
            # Whoever comes later and goes shows that the grace period is over.
            later = place.directory.give(BOB)
            await store.unlock(BOB, later)
            await until(lambda: later.key.wiped, "a key without a session")
            assert not unlock.key.wiped
        await until(lambda: unlock.key.wiped, "the key of a session that has ended")
        assert unlock.key.secret == b""
        with pytest.raises(VaultLockedError):
            async with store.open(ADA):
                pass
        await deliver(store, ADA, MESSAGE)
        assert len(place.sealed()) == 1
        await store.close()

    run(asyncio.wait_for(check(), 2 * DEADLINE))


def test_a_second_login_does_not_keep_a_second_key(place: Place) -> None:
    async def check() -> None:
        store = place.store()
        first, second = place.directory.give(ADA), place.directory.give(ADA)
        await store.unlock(ADA, first)
        await store.unlock(ADA, second)
        assert (first.key.wiped, second.key.wiped) == (False, True)
        await store.close()
        assert first.key.wiped

    run(check())


def test_mail_that_was_being_sealed_during_a_login_comes_in(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spool was drained before the file was there; the delivery sees to it."""
    sealing, logged_in = threading.Event(), threading.Event()
    real = Spool.add

    def slow(self: Spool, *arguments: Any) -> None:
        sealing.set()
        assert logged_in.wait(DEADLINE)
        real(self, *arguments)

    monkeypatch.setattr(Spool, "add", slow)

    async def check() -> None:
        store = place.store()
        delivery = asyncio.ensure_future(deliver(store, ADA, MESSAGE))
        await asyncio.to_thread(sealing.wait, DEADLINE)
        assert await inbox(store, place) == []
        logged_in.set()
        await delivery
        assert await inbox(store, place) == [MESSAGE]
        await store.close()

    run(check())


def test_what_does_not_open_stays_and_keeps_nobody_out(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async def check() -> None:
        store = place.store()
        for number in range(3):
            await deliver(store, ADA, b"Subject: %d\r\n\r\n" % number)
        damaged = place.sealed()[1]
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"\0\0")
        assert await inbox(store, place) == [b"Subject: 0\r\n\r\n", b"Subject: 2\r\n\r\n"]
        assert place.sealed() == [damaged]
        await store.close()

    run(check())
    assert "sealed-mail-unreadable" in caplog.text


def test_a_full_disk_while_draining_loses_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StorageFullError("full")

    async def check() -> None:
        store = place.store()
        await deliver(store, ADA, MESSAGE)
        with monkeypatch.context() as patch:
            patch.setattr(Vault, "deliver", full)
            assert await inbox(store, place) == []
        assert len(place.sealed()) == 1
        await store.close()
        store = place.store()
        assert await inbox(store, place) == [MESSAGE]
        await store.close()

    run(check())


@pytest.mark.parametrize("step", ["remove", "drop_marks"])
def test_a_crash_between_two_steps_of_draining_doubles_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def crash(*_: Any) -> None:
        raise RuntimeError("the power went")

    async def check() -> None:
        store = place.store()
        for number in range(3):
            await deliver(store, ADA, b"Subject: %d\r\n\r\n" % number)
        owner = Spool if step == "remove" else Vault
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, crash)
            assert len(await inbox(store, place)) == 3
            await store.close()
        store = place.store()
        assert len(await inbox(store, place)) == 3
        assert place.sealed() == []
        await store.close()

    run(check())


def test_without_the_directory_mail_is_put_off(place: Place) -> None:
    async def check() -> None:
        store = place.store()
        place.directory.away = True
        with pytest.raises(Exception, match="away"):
            await deliver(store, ADA, MESSAGE)
        await store.close()

    run(check())


def test_a_key_file_opens_its_vault_as_before(place: Place) -> None:
    """For as long as it lies there, the release before could open the vault, too."""

    async def check() -> None:
        key = make_key_file(place.keys, person_id(ADA))
        place.directory.vaults[ADA] = (person_id(ADA), bytes(key.secret))
        store = place.store()
        await deliver(store, ADA, MESSAGE)
        assert place.sealed() == []
        await store.close()
        vault = Vault(place.vaults / f"{person_id(ADA)}.vault", key)
        assert vault.counts("INBOX").messages == 1
        vault.close()

    run(check())


def test_the_mail_of_a_former_vault_is_moved_in(place: Place) -> None:
    """Folders, flags and dates, and what was sealed for it; then it is gone, with its files."""

    async def check() -> None:
        store = place.store()
        old = place.directory.give(ADA)
        former_key = bytes(old.key.secret)
        await store.unlock(ADA, old)
        date = arrival_time()
        async with store.open(ADA) as mailbox:
            await mailbox.run(lambda box: box.create_folder("Lists/Grüße"))
            new = NewMessage(b"Subject: listed\r\n\r\n", frozenset({"\\Seen", "$x"}), date)
            await mailbox.run(lambda box: box.append("Lists/Grüße", new))
        await store.close()
        store = place.store()
        await deliver(store, ADA, b"Subject: sealed for the old\r\n\r\n")
        present = place.directory.give(ADA, "a" * 32)
        await deliver(store, ADA, b"Subject: for the new\r\n\r\n")
        unlock = Unlock(present.vault, present.key, ((old.vault, DataKey(former_key)),))
        await store.unlock(ADA, unlock)
        await until(
            lambda: place.directory.emptied == [old.vault] and not store._moving, "the old mail"
        )
        async with store.open(ADA) as mailbox:
            mail = await mailbox.run(read_mail)
        await store.close()
        subjects = {message["raw"] for message in mail["INBOX"]["messages"]}
        assert subjects == {
            "Subject: sealed for the old\r\n\r\n",
            "Subject: for the new\r\n\r\n",
        }
        (listed,) = mail["Lists/Grüße"]["messages"]
        assert listed["flags"] == ["$x", "\\Seen"]
        assert listed["date"] == date.isoformat()
        assert [path.name for path in place.vaults.glob("*.vault")] == ["a" * 32 + ".vault"]
        assert not (place.spool / old.vault).exists()

    run(asyncio.wait_for(check(), 2 * DEADLINE))


def test_moving_goes_on_after_a_crash(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: str) -> None:
        raise DirectoryUnavailableError("away")

    async def check() -> None:
        store = place.store()
        old = place.directory.give(ADA)
        former_key = bytes(old.key.secret)
        await deliver(store, ADA, MESSAGE)
        place.directory.give(ADA, "b" * 32)
        for moved in (away, FakeDirectory.moved):
            monkeypatch.setattr(FakeDirectory, "moved", moved)
            present = place.directory.give(ADA, "b" * 32)
            former = ((old.vault, DataKey(former_key)),)
            await store.unlock(ADA, Unlock(present.vault, present.key, former))
            await until(lambda: not store._moving, "the old mail")
        assert await inbox(store, place) == [MESSAGE]
        assert place.directory.emptied == [old.vault]
        await store.close()

    run(asyncio.wait_for(check(), 2 * DEADLINE))


# With both services over real sockets


@pytest.fixture
def brief(files: Any) -> Any:
    """Both services, with a grace period that is over at once."""
    stack = Stack(files, grace=0.05)
    yield stack
    stack.stop()


def test_a_session_gets_what_was_sealed_before_and_what_comes_now(brief: Stack) -> None:
    brief.deliver(MESSAGE)
    assert len(list(brief.files.spool.rglob("*.sealed"))) == 1
    with brief.imap() as client:
        assert client.select()[1] == [b"1"]
        assert list(brief.files.spool.rglob("*.sealed")) == []
        brief.deliver(MESSAGE)
        client.noop()
        assert client.untagged_responses["EXISTS"][-1] == b"2"

    def locked() -> bool:
        return not list(brief.files.vaults.glob("*-wal"))

    wait_for(locked, what="the vault to be locked", timeout=DEADLINE, interval=0.02)
    brief.deliver(MESSAGE)
    assert len(list(brief.files.spool.rglob("*.sealed"))) == 1
    with brief.imap() as client:
        assert client.select()[1] == [b"3"]


def test_the_canary_logs_in_by_its_token(brief: Stack) -> None:
    brief.deliver(MESSAGE, CANARY)
    for _ in range(2):
        with brief.imap(CANARY, CANARY_PASSWORD) as client:
            assert client.select()[1] == [b"1"]


def test_key_files_are_taken_over_and_go_when_the_key_is_safe(
    start: Callable[[], Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first release left: a vault, and its key beside it."""
    running = start()
    key_files = FileKeyStore(running.files.keys)
    running.stop()
    canary = make_key_file(running.files.keys, person_id(CANARY))
    key = make_key_file(running.files.keys, person_id(ADA))
    vault = Vault(running.files.vaults / f"{person_id(ADA)}.vault", key)
    vault.append("INBOX", NewMessage(MESSAGE, frozenset(), arrival_time()))
    vault.close()
    for expected in (b"2", b"3"):
        running = start()
        running.deliver(MESSAGE)
        with running.imap() as client:
            assert client.select()[1] == [expected]
        running.stop()
    assert set(key_files.people()) == {person_id(ADA), person_id(CANARY)}
    monkeypatch.setattr("postmaster.directory.accounts.ADOPTION_SECONDS", 0)
    running = start()
    wait_for(
        lambda: key_files.people() == [person_id(CANARY)],
        what="the key file to go",
        timeout=DEADLINE,
        interval=0.02,
    )
    running.deliver(MESSAGE)
    assert len(list(running.files.spool.rglob("*.sealed"))) == 1
    with running.imap() as client:
        assert client.select()[1] == [b"4"]
    with running.imap(CANARY, CANARY_PASSWORD):
        pass
    assert key_files.load(person_id(CANARY)) == canary
    assert key_files.load(PersonId("0" * 32)) is None

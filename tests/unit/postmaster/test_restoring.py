"""One folder of a backup comes back at a login, beside what is there, whole or again."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.waiting import wait_for
from postmaster.crypto import DataKey, person_id
from postmaster.errors import StorageFullError
from postmaster.storage import restoring
from postmaster.storage.interface import FlagChange, NewMessage, arrival_time
from postmaster.storage.vault import Vault
from postmaster.storage.vaults import VaultStore
from postmaster.storage.wishes import Wish, read_wish, waiting
from tests.states.make import read_mail
from tests.unit.postmaster.harness import ADA, DEADLINE, Stack, until
from tests.unit.postmaster.store import Place

FOLDER, TIME = "Projects", "2026-11-24T02:14:07.5Z"
TARGET = "Projects (restored 2026-11-24)"
MESSAGES = tuple(b"Message-ID: <%d@x>\r\n\r\n%s\r\n" % (n, b"word " * n) for n in range(30))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 5 * DEADLINE))


async def login(store: VaultStore, place: Place) -> None:
    await store.unlock(ADA, place.directory.give(ADA))


async def work(store: VaultStore, place: Place, change: Callable[[Any], Any]) -> Any:
    await login(store, place)
    async with store.open(ADA) as mailbox:
        return await mailbox.run(change)


def fill(mailbox: Any) -> None:
    mailbox.create_folder(FOLDER)
    for raw in MESSAGES:
        mailbox.append(FOLDER, NewMessage(raw, frozenset({"\\Seen", "kept"}), arrival_time()))


def lose(mailbox: Any, count: int = 20) -> None:
    """Expunge the first messages, and have one that is newer than the backup."""
    snapshot = mailbox.snapshot(FOLDER, claim_recent=False)
    uids = snapshot.uids[:count]
    mailbox.store_flags(snapshot.folder.id, uids, FlagChange.ADD, frozenset({"\\Deleted"}))
    mailbox.expunge(snapshot.folder.id, uids)
    mailbox.append(FOLDER, NewMessage(b"Subject: newer\r\n\r\n", frozenset(), arrival_time()))


def back_up(place: Place, **more: object) -> Path:
    """What the machine hands over: the vault as it is on the disk, and what is wanted of it."""
    target = place.restored / f"{person_id(ADA)}.0123abcd"
    target.mkdir()
    for suffix in ("", "-wal"):
        source = place.vaults / f"{person_id(ADA)}.vault{suffix}"
        if source.exists():
            shutil.copy(source, target / f"mail.vault{suffix}")
    wish = {"format": 1, "folder": FOLDER, "time": TIME, **more}
    (target / "wish.json").write_text(json.dumps(wish))
    return target


def raws(folders: dict[str, Any], name: str) -> list[bytes]:
    return [m["raw"].encode("latin-1") for m in folders.get(name, {"messages": []})["messages"]]


def notices(folders: dict[str, Any]) -> list[str]:
    heads = [raw.partition(b"\r\n\r\n")[0].decode() for raw in raws(folders, "INBOX")]
    return [h.partition("Subject: ")[2].splitlines()[0] for h in heads if "Auto-Submitted" in h]


async def settled(store: VaultStore, place: Place, waits: Sequence[Path] = ()) -> dict[str, Any]:
    """All mail, once nothing waits any more but `waits`."""
    await login(store, place)
    # As a task of the store: it is busy for as long as it has one.
    await until(lambda: store._restorer is not None and not store._restorer._tasks, "the restore")
    assert sorted(place.restored.iterdir()) == list(waits)
    async with store.open(ADA) as mailbox:
        found: dict[str, Any] = await mailbox.run(read_mail)
    return found


def test_what_is_lost_comes_back_beside_what_is_there(place: Place) -> None:
    async def check() -> None:
        store = place.store()
        await work(store, place, fill)
        back_up(place)  # with a log, as the vault is open
        await work(store, place, lose)
        before = await work(store, place, read_mail)
        found = await settled(store, place)
        assert raws(found, FOLDER) == raws(before, FOLDER) == [*MESSAGES[20:], *_newer()]
        assert raws(found, TARGET) == list(MESSAGES[:20])
        flags = {tuple(message["flags"]) for message in found[TARGET]["messages"]}
        assert flags == {("\\Seen", "kept")}
        assert notices(found) == [f"Your folder {FOLDER} of 2026-11-24"]
        assert b"had 30 messages" in raws(found, "INBOX")[0]
        assert b"any more (20) are" in raws(found, "INBOX")[0]
        assert f"\r\n  {TARGET}\r\n".encode() in raws(found, "INBOX")[0]
        await store.close()

    run(check())


def _newer() -> list[bytes]:
    return [b"Subject: newer\r\n\r\n"]


def test_a_folder_that_is_whole_makes_no_other(place: Place) -> None:
    async def check() -> None:
        store = place.store()
        await work(store, place, fill)
        back_up(place)
        found = await settled(store, place)
        assert TARGET not in found
        assert b"nothing was put back" in raws(found, "INBOX")[0]
        await store.close()

    run(check())


def test_a_folder_that_is_gone_comes_back(place: Place) -> None:
    async def check() -> None:
        store = place.store()
        await work(store, place, fill)
        back_up(place)
        await work(store, place, lambda box: box.delete_folder(FOLDER))
        assert raws(await settled(store, place), TARGET) == list(MESSAGES)
        # Asked for once more, the same is there already.
        await store.close()
        store = place.store()
        back_up(place)
        found = await settled(store, place)
        assert raws(found, TARGET) == list(MESSAGES)
        await store.close()

    run(check())


@pytest.mark.parametrize("at", [1, 2, 4, "told", "half removed"])
def test_a_cut_in_between_doubles_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, at: int | str
) -> None:
    """The store stops at a batch, or when all is told and the files go; a new one goes on."""
    monkeypatch.setattr(restoring, "BATCH_BYTES", 600)
    put, batches, cuts = restoring._put, [], []

    def cut_put(vault: Vault, folder: str, contents: Any) -> None:
        batches.append(folder)
        if len(batches) == at:
            cut()
        put(vault, folder, contents)

    def cut_remove(wish: Wish) -> None:
        if at == "half removed":
            wish.vault.unlink()
        cut()

    def cut() -> None:
        cuts.append(at)
        raise StorageFullError("cut")

    async def check() -> None:
        store = place.store()
        await work(store, place, fill)
        waits = back_up(place)
        await work(store, place, lose)
        with monkeypatch.context() as patched:
            patched.setattr(restoring, "_put", cut_put)
            patched.setattr(Wish, "remove", cut_remove)
            await settled(store, place, [waits])
        await store.close()
        assert cuts == [at]
        store = place.store()
        found = await settled(store, place)
        assert raws(found, TARGET) == list(MESSAGES[:20])
        assert notices(found) == [f"Your folder {FOLDER} of 2026-11-24"]
        await store.close()

    run(check())


def test_a_full_mailbox_gets_the_rest_later(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "BATCH_BYTES", 600)
    limit: list[int | None] = [None]

    async def quota(_person: str) -> int | None:
        return limit[0]

    async def check() -> None:
        store = place.store(quota_of=quota)
        await work(store, place, fill)
        waits = back_up(place)
        await work(store, place, lambda box: box.delete_folder(FOLDER))
        await store.close()
        limit[0] = 1500
        for _ in range(2):
            store = place.store(quota_of=quota)
            found = await settled(store, place, [waits])
            assert 0 < len(raws(found, TARGET)) < len(MESSAGES)
            assert notices(found).count(f"No room for your folder {FOLDER} of 2026-11-24") == 1
            await store.close()
        limit[0] = None
        store = place.store(quota_of=quota)
        assert raws(await settled(store, place), TARGET) == list(MESSAGES)
        await store.close()

    run(check())


def test_a_name_that_was_not_there_is_told(place: Place) -> None:
    async def check() -> None:
        store = place.store()
        await work(store, place, fill)
        back_up(place, folder="Project")
        found = await settled(store, place)
        assert notices(found) == ["There was no folder Project on 2026-11-24"]
        assert f"  {FOLDER}\r\n".encode() in raws(found, "INBOX")[0]
        assert set(found) == {*(await work(store, place, read_mail))}
        await store.close()

    run(check())


def test_a_vault_with_another_key_is_told_and_forgotten(place: Place) -> None:
    async def check() -> None:
        store = place.store()
        await work(store, place, fill)
        target = back_up(place)
        for file in target.glob("mail.vault*"):
            file.unlink()
        Vault(target / "mail.vault", DataKey.random()).close()
        found = await settled(store, place)
        assert notices(found) == [f"Your folder {FOLDER} of 2026-11-24 cannot be opened"]
        await store.close()

    run(check())


@pytest.mark.parametrize(
    "content",
    [
        {"format": 2},
        {"folder": ""},
        {"folder": "a\nb"},
        {"folder": 7},
        {"time": "yesterday"},
        {"time": None},
    ],
    ids=str,
)
def test_what_is_not_understood_is_left_alone(place: Place, content: dict[str, object]) -> None:
    async def check() -> None:
        store = place.store()
        await work(store, place, fill)
        waits = back_up(place, **content)
        assert read_wish(waits) is None
        found = await settled(store, place, [waits])
        assert notices(found) == []
        await store.close()

    run(check())


def test_each_gets_what_is_theirs_the_oldest_first(place: Place) -> None:
    for person, name, time in (
        (ADA, "b", "2026-11-23T01:00"),
        (ADA, "a", TIME),
        ("bob", "c", TIME),
    ):
        made = place.restored / f"{person_id(person)}.{name}"
        made.mkdir()
        (made / "wish.json").write_text(json.dumps({"format": 1, "folder": "inbox", "time": time}))
    found = waiting(place.restored, person_id(ADA))
    assert [(wish.folder, wish.time) for wish in found] == [
        ("INBOX", "2026-11-23T01:00"),
        ("INBOX", TIME),
    ]


def test_over_imap_a_login_is_all_that_it_takes(stack: Stack) -> None:
    """With the person's own password, wraps and a vault that is open meanwhile."""
    files, person = stack.files, person_id(ADA)
    with stack.imap() as imap:
        assert imap.create(FOLDER)[0] == "OK"
        for raw in MESSAGES[:3]:
            assert imap.append(FOLDER, "", "", raw)[0] == "OK"
        target = files.restored / f"{person}.0123abcd.ef"
        target.mkdir()
        for suffix in ("", "-wal"):
            shutil.copy(files.vaults / f"{person}.vault{suffix}", target / f"mail.vault{suffix}")
        (target / "wish.json").write_text(json.dumps({"format": 1, "folder": FOLDER, "time": TIME}))
        assert imap.delete(FOLDER)[0] == "OK"
    with stack.imap() as imap:
        wait_for(lambda: not target.exists(), what="the folder", timeout=DEADLINE, interval=0.02)
        assert imap.select(f'"{TARGET}"', readonly=True)[1] == [b"3"]
        found = imap.fetch("1:*", "(BODY.PEEK[])")[1]
        assert [part[1] for part in found if isinstance(part, tuple)] == list(MESSAGES[:3])

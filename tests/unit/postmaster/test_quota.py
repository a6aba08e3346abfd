"""Quota, the disk's reserve, and deliveries that come twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from firstboot.base.run import run
from postmaster.crypto import DataKey
from postmaster.delivery import JUNK, delivery_id, place
from postmaster.directory.people import build_directory
from postmaster.errors import StorageFullError
from postmaster.storage import deliveries, room
from postmaster.storage.interface import (
    Delivery,
    FlagChange,
    NewMessage,
    OverQuotaError,
    Quota,
    arrival_time,
)
from postmaster.storage.vault import Vault
from tests.unit.postmaster.harness import ADA, BOB, Files, RawImap, Stack, settings_text

KEY = DataKey(bytes(range(32)))
RECEIVED = b"Received: from a by b (Postfix) id 4XYZ; Tue, 24 Nov 2026 12:00:00 +0000\r\n"


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    opened = Vault(tmp_path / "a.vault", KEY)
    yield opened
    opened.close()


def sized(size: int, identifier: bytes | None = None) -> Delivery:
    return Delivery(NewMessage(b"x" * size, frozenset(), arrival_time()), id=identifier)


def subjects(vault: Vault) -> list[str]:
    """The subjects of the warnings in the inbox."""
    folder = vault.folder("INBOX").id
    uids = vault.snapshot("INBOX", claim_recent=False).uids
    read = vault.contents(folder, uids, bodies=False, outlines=True, budget=1 << 30)
    found = [content.outline.envelope for content in read if content.outline]
    return [(envelope.subject or b"").decode() for envelope in found if envelope]


def remove_all(vault: Vault) -> None:
    folder = vault.folder("INBOX").id
    uids = list(vault.snapshot("INBOX", claim_recent=False).uids)
    vault.store_flags(folder, uids, FlagChange.ADD, frozenset({"\\Deleted"}))
    vault.expunge(folder, None)


def test_a_quota_is_kept_and_what_was_accepted_is_not_refused(vault: Vault) -> None:
    vault.set_quota(Quota(ADA, 10_000))
    vault.deliver(sized(6_000))
    with pytest.raises(OverQuotaError) as error:
        vault.deliver(sized(6_000))
    assert not error.value.for_ever
    with pytest.raises(OverQuotaError) as error:
        vault.append("INBOX", sized(10_001).message)
    assert error.value.for_ever
    with pytest.raises(OverQuotaError):
        vault.copy(vault.folder("INBOX").id, [1], "Archive")
    assert (vault.usage().bytes, vault.usage().messages) == (6_000, 1)
    vault.move(vault.folder("INBOX").id, [1], "Archive")
    assert vault.deliver(sized(6_000), enforce_quota=False)
    vault.delete_folder("Archive")
    assert vault.usage().bytes >= 6_000  # and the warning
    remove_all(vault)
    assert (vault.usage().bytes, vault.usage().messages) == (0, 0)


def test_a_warning_comes_once_for_each_threshold(vault: Vault) -> None:
    vault.set_quota(Quota(ADA, 1_000_000))
    vault.deliver(sized(790_000))
    assert len(subjects(vault)) == 1
    vault.deliver(sized(15_000))
    vault.deliver(sized(10_000))
    assert [s for s in subjects(vault) if s] == ["Your mailbox is 80 % full"]
    vault.deliver(sized(150_000))
    vault.deliver(sized(1))
    assert [s for s in subjects(vault) if s][1:] == ["Your mailbox is 96 % full"]
    remove_all(vault)
    vault.deliver(sized(100))
    vault.deliver(sized(850_000))
    assert [s for s in subjects(vault) if s] == ["Your mailbox is 85 % full"]


def test_a_delivery_is_kept_once(vault: Vault) -> None:
    assert vault.deliver(sized(1, b"\1"))
    assert not vault.deliver(sized(1, b"\1"))
    assert vault.deliver(sized(1, b"\2"))
    assert vault.deliver(sized(1))
    assert vault.deliver(sized(1))
    assert vault.usage().messages == 4


def test_deliveries_are_forgotten(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "REMEMBER_COUNT", 10)
    for number in range(30):
        vault.deliver(sized(1, b"\1%d" % number))
    vault._query("UPDATE deliveries SET at = at - 1", ())
    vault.deliver(sized(1, b"\0"))
    assert vault._query("SELECT count(*) FROM deliveries", ()) <= [(31,)]
    monkeypatch.setattr(deliveries, "REMEMBER_SECONDS", -10)
    vault.deliver(sized(1, b"\2"))
    assert vault._query("SELECT count(*) FROM deliveries", ()) == [(1,)]


def test_a_failed_delivery_is_not_noted(vault: Vault) -> None:
    vault.set_quota(Quota(ADA, 10))
    with pytest.raises(OverQuotaError):
        vault.deliver(sized(100, b"\1"))
    vault.set_quota(Quota(ADA, None))
    assert vault.deliver(sized(100, b"\1"))


def test_the_queue_may_send_again(stack: Stack) -> None:
    message = RECEIVED + b"Subject: once\r\n\r\nbody\r\n"
    assert stack.deliver(message, ADA) == {}
    assert stack.deliver(message, ADA) == {}
    assert stack.deliver(message.replace(b"4XYZ", b"4XYW"), ADA) == {}
    with stack.imap() as client:
        assert client.select()[1] == [b"2"]


def test_a_message_without_the_queues_field_has_no_id() -> None:
    assert delivery_id(b"Subject: x\r\n" + RECEIVED + b"\r\n") is None
    assert delivery_id(b"") is None
    assert delivery_id(RECEIVED + b"\r\n") == delivery_id(RECEIVED + b"\r\n")


@pytest.mark.parametrize(
    ("header", "folder"),
    [
        (b"Delivered-To: ada@example.com\r\n", "INBOX"),
        (b"Delivered-To: ada+Lists/x@example.com\r\n", "Lists/x"),
        (b"Delivered-To: ada+trash@example.com\r\n", "INBOX"),
        (b"Delivered-To: ada+@example.com\r\n", "INBOX"),
        (b"X-Spam: Yes\r\nDelivered-To: ada+Lists@example.com\r\n", JUNK),
        (b"x-spam-flag: YES\r\n", JUNK),
        (b"X-Spam: No\r\n", "INBOX"),
        (b"\r\nX-Spam: Yes\r\n", "INBOX"),
    ],
)
def test_placement(header: bytes, folder: str) -> None:
    assert place(header + b"\r\nbody").folder == folder


def test_a_folder_of_the_owners_gets_its_plus_address(stack: Stack) -> None:
    with stack.imap() as client:
        client.create("Lists")
        stack.deliver(b"Subject: x\r\n\r\n", "ada+Lists@example.com", "ada+none@example.com")
        stack.deliver(b"Subject: x\r\n\r\n", "ada+none@example.com")
        stack.deliver(b"X-Spam: Yes\r\n\r\n", ADA)
        counts = [client.select(name)[1] for name in ("Lists", "INBOX", "Junk")]
    assert counts == [[b"1"], [b"1"], [b"1"]]


def test_a_disk_that_is_nearly_full_takes_nothing_new(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.deliver(sized(1000))
    # All of the disk, however much others free meanwhile.
    monkeypatch.setattr(room, "RESERVE_BYTES", 1 << 60)
    monkeypatch.setattr(room, "RESERVE_SHARE", 1)
    with pytest.raises(StorageFullError):
        vault.deliver(sized(1))
    with pytest.raises(StorageFullError):
        vault.append("INBOX", sized(1).message)
    assert len(subjects(vault)) == 1
    remove_all(vault)
    assert vault.usage().messages == 0


def test_a_quota_of_the_settings_is_told_to_sender_and_client(
    files: Files, start: Callable[[], Stack]
) -> None:
    text = files.settings.read_text()
    files.settings.write_text(text.replace("people:\n", "quota: 1M\npeople:\n"))
    running = start()
    message = b"Subject: x\r\n\r\n" + b"x" * 200_000 + b"\r\n"
    for _ in range(5):
        assert running.deliver(message, BOB) == {}
    assert running.deliver(message, BOB)[BOB][0] == 452
    client = RawImap(running, BOB)
    assert client.append(message).startswith(b"NO [OVERQUOTA]")
    client.ok("SELECT INBOX")
    assert client.command("COPY 1 Archive")[0].startswith(b"NO [OVERQUOTA]")
    assert any(b"95 % full" in line for line in client.ok("FETCH 6 ENVELOPE"))
    client.ok("STORE 1:3 FLAGS (\\Deleted)")
    client.ok("EXPUNGE")
    assert running.deliver(message, BOB) == {}
    client.close()


@pytest.mark.parametrize(
    ("everybody", "own", "limit"),
    [(None, None, None), ("1G", None, 1 << 30), ("1G", "500M", 500 << 20), ("1G", "none", None)],
)
def test_quotas_of_the_settings(
    password_hash: str, everybody: str | None, own: str | None, limit: int | None
) -> None:
    document = yaml.safe_load(settings_text(password_hash))
    document["quota"] = everybody
    document["people"][1]["quota"] = own
    assert build_directory(document).quota(BOB) == limit
    document["people"][1]["quota"] = "much"
    with pytest.raises(ValueError, match="much"):
        build_directory(document)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)])
    yield folder
    run(["umount", str(folder)])


def fill(vault: Vault) -> None:
    for _ in range(1000):
        vault.deliver(sized(100_000))


def test_on_a_full_disk_reading_and_deleting_still_work(small_disk: Path) -> None:
    vault = Vault(small_disk / "a.vault", KEY)
    try:
        with pytest.raises(StorageFullError):
            fill(vault)
        (small_disk / "other").write_bytes(b"x" * 400_000)  # somebody else takes of the reserve
        count = vault.usage().messages
        assert count > 20
        folder = vault.folder("INBOX").id
        uids = vault.snapshot("INBOX", claim_recent=True).uids
        assert vault.contents(folder, uids, bodies=True, outlines=False, budget=1)
        vault.store_flags(folder, uids, FlagChange.ADD, frozenset({"\\Deleted"}))
        assert len(vault.expunge(folder, None)) == count
        while vault.tidy():
            pass
        vault.deliver(sized(100_000))
    finally:
        vault.close()

"""The vault: keys are made once, bad state is told plainly, and stays one person's trouble."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from postmaster.crypto import DataKey, FileKeyStore, person_id, verify_password
from postmaster.errors import StorageUnavailableError
from postmaster.storage.interface import (
    FlagChange,
    FolderExistsError,
    NewMessage,
    NoSuchFolderError,
    arrival_time,
)
from postmaster.storage.schema import MIGRATIONS
from postmaster.storage.vault import Vault
from tests.keyfiles import make_key_file
from tests.unit.postmaster.harness import ADA, BOB, RawImap, Stack

PERSON = person_id(ADA)
KEY = DataKey(bytes(range(32)))


def new_message(raw: bytes = b"Subject: x\r\n\r\ny", *flags: str) -> NewMessage:
    return NewMessage(raw, frozenset(flags), arrival_time())


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "a.vault", KEY)


def test_a_key_file_is_read_and_destroyed(tmp_path: Path) -> None:
    store = FileKeyStore(tmp_path)
    assert store.load(PERSON) is None
    assert store.people() == []
    key = make_key_file(tmp_path, PERSON)
    assert store.load(PERSON) == key
    assert store.people() == [PERSON]
    assert key.secret.hex() not in repr(key)
    other_name = tmp_path / "linked"
    other_name.hardlink_to(tmp_path / f"{PERSON}.key")
    store.destroy(PERSON)
    store.destroy(PERSON)
    assert store.people() == []
    assert set(other_name.read_bytes()) == {0}  # overwritten, not only unlinked


@pytest.mark.parametrize("content", [b"", b"mailstead-key 1 00ff", b"\xff\xfe", b"x" * 80])
def test_a_damaged_key_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / f"{PERSON}.key"
    path.write_bytes(content)
    store = FileKeyStore(tmp_path)
    with pytest.raises(StorageUnavailableError, match=r"damaged|cannot read"):
        store.load(PERSON)
    assert path.read_bytes() == content


def test_passwords(password_hash: str) -> None:
    assert not verify_password(password_hash, "wrong")
    assert not verify_password("no hash", "wrong")
    assert not verify_password("$argon2id$v=19$m=19456,t=2,p=1$short$", "")


def test_another_key_does_not_open_a_vault(tmp_path: Path, vault: Vault) -> None:
    vault.close()
    with pytest.raises(StorageUnavailableError, match="does not open with its key"):
        Vault(tmp_path / "a.vault", DataKey(bytes(32)))
    Vault(tmp_path / "a.vault", KEY).close()


def test_a_vault_of_the_far_future_is_left_alone(tmp_path: Path, vault: Vault) -> None:
    vault._query(f"PRAGMA user_version = {len(MIGRATIONS) + 1}", ())
    vault.close()
    Vault(tmp_path / "a.vault", KEY).close()  # the neighbour version's format is readable
    again = Vault(tmp_path / "a.vault", KEY)
    again._query(f"PRAGMA user_version = {len(MIGRATIONS) + 2}", ())
    again.close()
    with pytest.raises(StorageUnavailableError, match="format"):
        Vault(tmp_path / "a.vault", KEY)


def test_every_commit_is_synced(vault: Vault) -> None:
    database = vault._database
    assert database.pragma("journal_mode") == "wal"
    assert database.pragma("synchronous") == 2  # FULL
    assert database.pragma("cipher") == "chacha20"


def test_uids_rise_for_ever(vault: Vault) -> None:
    _, first = vault.append("inbox", new_message(b"a", "\\Deleted"))
    folder = vault.folder("INBOX")
    assert vault.expunge(folder.id, None) == [first]
    _, second = vault.append("INBOX", new_message())
    assert second == first + 1
    modseq = vault.modseq
    vault.store_flags(folder.id, [second], FlagChange.ADD, frozenset({"x"}))
    assert vault.modseq > modseq
    changes = vault.changes(folder.id, modseq, claim_recent=False)
    assert [message.uid for message in changes.changed] == [second]
    assert vault.changes(folder.id, 1, claim_recent=False).vanished == [first]


def test_contents_go_with_their_last_message(vault: Vault) -> None:
    folder, uid = vault.append("INBOX", new_message())
    vault.copy(folder.id, [uid], "Trash")
    count = "SELECT count(*) FROM contents"
    assert vault._query(count, ()) == [(1,)]
    vault.delete_folder("Trash")
    assert vault._query(count, ()) == [(1,)]
    vault.store_flags(folder.id, [uid], FlagChange.ADD, frozenset({"\\Deleted"}))
    vault.expunge(folder.id, [uid])
    assert vault._query(count, ()) == [(0,)]


def test_a_failed_change_changes_nothing(vault: Vault) -> None:
    folder, uid = vault.append("INBOX", new_message())
    with pytest.raises(NoSuchFolderError):
        vault.move(folder.id, [uid], "Nowhere")
    with pytest.raises(FolderExistsError):
        vault.rename_folder("Sent", "Trash")
    assert len(vault.messages(folder.id, [uid])) == 1
    assert len(vault.folders()) == 6


def test_a_killed_process_loses_no_acknowledged_message(tmp_path: Path, vault: Vault) -> None:
    _, uid = vault.append("INBOX", new_message(b"kept"))
    # The state of the files at this instant, as a power cut would leave it.
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tmp_path.glob("a.vault*"):
        if not path.name.endswith("-shm"):
            (copy / path.name).write_bytes(path.read_bytes())
    survivor = Vault(copy / "a.vault", KEY)
    folder = survivor.folder("INBOX")
    (content,) = survivor.contents(folder.id, [uid], bodies=True, outlines=False, budget=1)
    assert content.raw == b"kept"


@pytest.mark.parametrize("readable", [True, False])
def test_outlines_of_another_version_are_computed_anew(vault: Vault, *, readable: bool) -> None:
    folder, uid = vault.append("INBOX", new_message(b"Subject: new\r\n\r\n"))
    if not readable:
        vault._query("UPDATE contents SET outline_version = 0, outline = 'old'", ())
    (content,) = vault.contents(folder.id, [uid], bodies=False, outlines=True, budget=1)
    assert content.outline is not None
    assert content.outline.envelope is not None
    assert content.outline.envelope.subject == b"new"
    (without,) = vault.contents(
        folder.id, [uid], headers=False, bodies=False, outlines=False, envelopes=True, budget=1
    )
    assert without.envelope == content.envelope == content.outline.envelope
    assert (without.header, without.body, without.outline) == (b"", None, None)


def test_messages_are_found_where_others_are_gone(vault: Vault) -> None:
    uids = [vault.append("INBOX", new_message(b"%d" % n, "\\Deleted"))[1] for n in range(6)]
    folder = vault.folder("INBOX").id
    vault.expunge(folder, uids[2:4])
    left = [*uids[:2], *uids[4:]]
    for wanted in (uids, left, uids[:2], uids[4:], [uids[0], uids[5]], uids[2:3], []):
        there = [uid for uid in wanted if uid in left]
        read = vault.contents(folder, wanted, bodies=True, outlines=False, budget=1 << 20)
        assert [content.message.uid for content in read] == there
        assert vault.messages(folder, wanted) == [content.message for content in read]


def test_contents_keep_to_their_budget(vault: Vault) -> None:
    uids = [vault.append("INBOX", new_message(b"x" * 1000))[1] for _ in range(5)]
    folder = vault.folder("INBOX").id
    read = vault.contents(folder, uids, bodies=True, outlines=False, budget=1500)
    assert [content.message.uid for content in read] == uids[:2]


def break_vault(stack: Stack) -> None:
    (stack.files.vaults / f"{PERSON}.vault").write_bytes(os.urandom(8192))


def exchange_vaults(stack: Stack) -> None:
    """Put Bob's in the place of Ada's, so that her key does not open it."""
    other = (stack.files.vaults / f"{person_id(BOB)}.vault").read_bytes()
    (stack.files.vaults / f"{PERSON}.vault").write_bytes(other)


def change_key(stack: Stack) -> None:
    """A key file, which is not that of the vault, counts before all else."""
    path = stack.files.keys / f"{PERSON}.key"
    path.write_text(f"mailstead-key 1 {'ab' * 32}\n")


@pytest.mark.parametrize("harm", [break_vault, exchange_vaults, change_key])
def test_bad_state_is_one_persons_trouble(
    start: Callable[[], Stack], harm: Callable[[Stack], None]
) -> None:
    first = start()
    for person in (ADA, BOB):
        first.deliver(b"a: b\r\n\r\n", person)
        with first.imap(person):
            pass
    first.stop()
    harm(first)
    before = (first.files.vaults / f"{PERSON}.vault").read_bytes()
    second = start()
    client = RawImap(second, None)
    answer, _ = client.command(f'LOGIN {ADA} "correct horse battery staple"')
    assert answer.startswith(b"NO [UNAVAILABLE]")
    client.close()
    assert second.deliver(b"a: b\r\n\r\n", BOB) == {}
    with second.imap(BOB) as other:
        assert other.select()[1] == [b"2"]
    second.stop()
    # Nothing was "repaired".
    assert (first.files.vaults / f"{PERSON}.vault").read_bytes() == before


def test_sqlite_has_the_cipher() -> None:
    assert "chacha20" in str(apsw.Connection(":memory:").pragma("cipher"))


def test_counts_and_usage(vault: Vault) -> None:
    folder, (first, second) = vault.append_all(
        "INBOX", [new_message(b"a: b\n\none"), new_message(b"a: b\n\nlonger")]
    )
    vault.store_flags(folder.id, [second], FlagChange.ADD, frozenset({"\\Deleted"}))
    counts = vault.counts("INBOX")
    assert (counts.messages, counts.deleted) == (2, 1)
    assert (counts.size, counts.deleted_size) == (21, 12)
    assert (vault.usage().bytes, vault.usage().messages) == (21, 2)
    assert counts.highest_modseq == vault.snapshot("INBOX", claim_recent=False).highest_modseq
    vault.expunge(folder.id, None)
    assert vault.counts("INBOX").highest_modseq > counts.highest_modseq  # also when messages go
    assert vault.counts("Sent").highest_modseq == 1
    assert vault.messages(folder.id, [first])


def test_several_messages_come_together_or_not_at_all(vault: Vault) -> None:
    with pytest.raises(NoSuchFolderError):
        vault.append_all("Nowhere", [new_message(b"a: b\n\none")])
    assert vault.usage().messages == 0

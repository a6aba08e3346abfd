"""Attachments kept once; a check of the whole vault; pages given back."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmaster.crypto import DataKey
from postmaster.errors import StorageUnavailableError
from postmaster.storage import upkeep
from postmaster.storage.attachments import APART_BYTES
from postmaster.storage.interface import CheckPoint, FlagChange, NewMessage, arrival_time
from postmaster.storage.vault import Vault

KEY = DataKey(bytes(range(32)))


def attached(size: int = APART_BYTES) -> bytes:
    """Return a file that no other is like, in base64."""
    return base64.encodebytes(os.urandom(size)).replace(b"\n", b"\r\n")


FILE, OTHER = attached(), attached()


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    opened = Vault(tmp_path / "a.vault", KEY)
    yield opened
    opened.close()


def with_files(text: bytes, *files: bytes) -> bytes:
    head = b'Subject: x\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\npreamble\r\n'
    parts = b"".join(
        b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + file
        for file in files
    )
    return head + b"--b\r\n\r\n" + text + b"\r\n" + parts + b"--b--\r\nepilogue"


def keep(vault: Vault, raw: bytes) -> int:
    return vault.append("INBOX", NewMessage(raw, frozenset(), arrival_time()))[1]


def raws(vault: Vault) -> list[bytes]:
    uids = vault.snapshot("INBOX", claim_recent=False).uids
    folder = vault.folder("INBOX").id
    read = vault.contents(folder, uids, bodies=True, outlines=False, budget=1 << 30)
    return [content.raw for content in read]


def number(vault: Vault, query: str) -> int:
    ((value,),) = vault._query(query, ())
    return int(value)


def check(vault: Vault) -> list[str]:
    point = CheckPoint()
    problems: list[str] = []
    while not point.finished:
        point = vault.check(point)
        problems += point.problems
    assert point.done <= point.total
    return problems


def remove(vault: Vault, *uids: int) -> None:
    folder = vault.folder("INBOX").id
    vault.store_flags(folder, uids, FlagChange.ADD, frozenset({"\\Deleted"}))
    vault.expunge(folder, None)


def test_identical_attachments_are_kept_once_and_come_back_whole(vault: Vault) -> None:
    nested = (
        b'Content-Type: multipart/mixed; boundary="o"\r\n\r\n--o\r\n'
        b"Content-Type: message/rfc822\r\n\r\n" + with_files(b"inner", FILE) + b"\r\n--o--\r\n"
    )
    messages = [
        with_files(b"one", FILE),
        with_files(b"two", FILE, OTHER, FILE),
        b"Content-Type: application/pdf\r\n\r\n" + FILE,
        nested,
        with_files(b"small"),
    ]
    for raw in messages:
        keep(vault, raw)
    assert raws(vault) == messages
    assert number(vault, "SELECT count(*) FROM attachments") <= 4
    assert number(vault, "SELECT max(length(body)) FROM contents") < APART_BYTES
    assert check(vault) == []
    remove(vault, 1, 2)
    assert raws(vault) == messages[2:]
    remove(vault, 3, 4)
    assert number(vault, "SELECT count(*) FROM attachments") == 0
    assert check(vault) == []


def test_a_vault_is_marked_with_its_first_attachment_apart(vault: Vault) -> None:
    keep(vault, with_files(b"small"))
    assert number(vault, "PRAGMA user_version") == 2
    keep(vault, with_files(b"large", FILE))
    assert number(vault, "PRAGMA user_version") == 3


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("DELETE FROM pieces", "does not have its"),
        ("UPDATE attachments SET data = x'00'", "does not have its"),
        ("UPDATE attachments SET hash = x'00'", "is not what it was"),
        ("UPDATE counters SET modseq = 1", "above the counter"),
        ("UPDATE folders SET uidnext = 1", "not below uidnext"),
        ("UPDATE usage SET bytes = 1", "usage says"),
        ("DELETE FROM unindexed", "not in the index"),
        ("UPDATE contents SET size = size + 1", "another size"),
        ("INSERT INTO contents VALUES (99, 2, 1, '', x'00', x'00')", "has no message"),
    ],
)
def test_a_check_finds(vault: Vault, harm: str, problem: str) -> None:
    keep(vault, with_files(b"one", FILE))
    assert check(vault) == []
    vault._query(harm, ())
    assert any(problem in found for found in check(vault)), check(vault)


def test_a_changed_page_is_found_and_the_rest_is_looked_at(tmp_path: Path, vault: Vault) -> None:
    for text in (b"one", b"two"):
        keep(vault, with_files(text, FILE))
    vault._query("UPDATE usage SET bytes = 1", ())
    vault.close()
    path = tmp_path / "a.vault"
    data = bytearray(path.read_bytes())
    data[-5000] ^= 1  # attachments come last
    path.write_bytes(data)
    damaged = Vault(path, KEY)
    problems = check(damaged)
    damaged.close()
    assert any("attachments" in problem or "contents" in problem for problem in problems)
    assert any("usage says" in problem for problem in problems)


def crash(tmp_path: Path, vault: Vault) -> Path:
    """Copy the files as a power cut at this instant leaves them."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tmp_path.glob("a.vault*"):
        if not path.name.endswith("-shm"):
            (copy / path.name).write_bytes(path.read_bytes())
    return copy / "a.vault"


def test_an_unclean_end_is_checked_quickly_then_in_full(
    tmp_path: Path, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    keep(vault, with_files(b"one", FILE))
    vault._query("UPDATE usage SET bytes = 1", ())
    survivor = Vault(crash(tmp_path, vault), KEY)
    assert len(raws(survivor)) == 1
    while survivor.tidy():
        pass
    assert "usage says 1 bytes" in caplog.text
    survivor.close()
    caplog.clear()
    again = Vault(tmp_path / "copy" / "a.vault", KEY)  # which was closed
    while again.tidy():
        pass
    assert caplog.text == ""
    again.close()


def test_a_vault_damaged_at_its_root_is_not_used(tmp_path: Path, vault: Vault) -> None:
    keep(vault, with_files(b"one"))
    vault._query("PRAGMA ignore_check_constraints = ON", ())
    vault._query("PRAGMA writable_schema = ON", ())
    vault._query(
        "UPDATE sqlite_schema SET sql = replace(sql, 'name TEXT NOT NULL', 'name INTEGER NOT NULL')"
        " WHERE name = 'folders'",
        (),
    )
    with pytest.raises(StorageUnavailableError, match="damaged"):
        Vault(crash(tmp_path, vault), KEY)


def test_free_pages_are_given_back(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "VACUUM_PAGES", 64)
    for _ in range(3):
        keep(vault, with_files(b"x", attached(3_000_000)))
    before = number(vault, "PRAGMA page_count")
    remove(vault, 1, 2, 3)
    assert number(vault, "PRAGMA freelist_count") > upkeep.FREE_PAGES or before < 1100
    steps = 0
    while vault.tidy():
        steps += 1
    assert steps > 5
    assert number(vault, "PRAGMA page_count") < before // 2

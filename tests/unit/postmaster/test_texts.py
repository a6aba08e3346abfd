"""SEARCH in texts: the index and what is not in it yet give the answer of a plain comparison."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmaster.crypto import DataKey
from postmaster.message.searchable import fold
from postmaster.storage import texts
from postmaster.storage.interface import FlagChange, NewMessage, TextKey, TextScope, arrival_time
from postmaster.storage.vault import Vault
from tests.unit.postmaster.harness import RawImap, bounded

KEY = DataKey(bytes(range(32)))
BODY, TEXT, FIELD = TextScope.BODY, TextScope.TEXT, TextScope.FIELD


def message(text: str, subject: str = "x") -> NewMessage:
    head = f"Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    return NewMessage((head + text).encode("utf-8", "replace"), frozenset(), arrival_time())


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    opened = Vault(tmp_path / "a.vault", KEY)
    yield opened
    opened.close()


def found(vault: Vault, scope: TextScope, wanted: str, field: str = "") -> set[int]:
    while vault.prepare_search():
        pass
    return set(vault.search(vault.folder("INBOX").id, TextKey(scope, wanted, field)))


def index_all(vault: Vault) -> None:
    while vault.tidy():
        pass
    assert vault._query("SELECT count(*) FROM unindexed", ()) == [(0,)]


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("scope", "wanted", "field", "uids"),
    [
        (BODY, "groß", "", {1}),
        (BODY, "GROSS", "", {1}),
        (BODY, "uber", "", {1}),
        (BODY, "世界", "", {2}),
        (BODY, "界", "", {2}),
        (BODY, "hello", "", {2}),  # full-width letters
        (BODY, 'a"b', "", {2}),
        (BODY, "", "", {1, 2, 3}),
        (BODY, "resume", "", set()),
        (TEXT, "resume", "", {3}),
        (FIELD, "resume", "SUBJECT", {3}),
        (FIELD, "", "subject", {1, 2, 3}),
        (FIELD, "", "to", set()),
        (FIELD, "subject", "subject", set()),
        (BODY, "the end", "", {3}),
        (BODY, "d", "", {3}),  # the last character
    ],
)
def test_texts_are_found(
    vault: Vault, *, indexed: bool, scope: TextScope, wanted: str, field: str, uids: set[int]
) -> None:
    vault.append("INBOX", message("Größer über x"))
    vault.append("INBOX", message('你好世界 \uff28\uff45\uff4c\uff4c\uff4f a"b'))
    vault.append("INBOX", message("the end", "=?utf-8?q?R=C3=A9sum=C3=A9?="))
    if indexed:
        index_all(vault)
    assert found(vault, scope, wanted, field) == uids


alphabet = st.text("aAbé好́ \n\"*'", max_size=12)


@bounded
@given(bodies=st.lists(alphabet, max_size=6), wanted=st.text("aAbé好 \"*'", min_size=1, max_size=5))
def test_the_index_answers_as_a_comparison_does(bodies: list[str], wanted: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        vault = Vault(Path(folder) / "a.vault", KEY)
        for number, body in enumerate(bodies):
            vault.append("INBOX", message(body))
            if number == len(bodies) // 2:
                index_all(vault)  # the later ones are not in it
        expected = {uid for uid, body in enumerate(bodies, 1) if fold(wanted) in fold(body)}
        assert found(vault, BODY, wanted) == expected
        vault.close()


@bounded
@given(st.text(), st.text())
def test_folding_keeps_nothing_that_sqlite_cannot(left: str, right: str) -> None:
    folded = fold(left + "\0\ud800" + right)
    folded.encode()
    assert "\0" not in folded
    assert fold(folded) == folded


def test_a_long_text_is_found_though_it_is_not_kept(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "KEPT_CHARACTERS", 100)
    vault.append("INBOX", message("begin " + "x" * 200 + " needle"))
    vault.append("INBOX", message("y" * 300))
    assert vault._query("SELECT count(body) FROM texts", ()) == [(0,)]
    assert found(vault, BODY, "needle") == {1}
    index_all(vault)
    assert found(vault, BODY, "needle") == {1}
    assert found(vault, TEXT, "yyy") == {2}


def test_a_text_too_long_for_the_index_is_found(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery does not compute it, the index does not take it, a search looks at it."""
    monkeypatch.setattr(texts, "KEPT_CHARACTERS", 100)
    monkeypatch.setattr(texts, "INDEXED_BYTES", 400)
    vault.append("INBOX", message("begin " + "x" * 500 + " needle", "marmalade"))
    vault.append("INBOX", message("y" * 500))
    with monkeypatch.context() as patched:
        patched.setattr(texts, "_body", None)  # it is not computed for the index either
        index_all(vault)
    assert vault._query("SELECT count(*) FROM trigram_terms WHERE term = 'yyy'", ()) == [(0,)]
    assert found(vault, BODY, "needle") == {1}
    assert found(vault, TEXT, "NEEDLE") == {1}
    assert found(vault, TEXT, "yy") == {2}
    assert found(vault, TEXT, "marmalade") == {1}
    assert found(vault, FIELD, "marmalade", "subject") == {1}


def test_a_short_text_with_a_large_attachment_is_in_the_index(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "INDEXED_BYTES", 400)
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nneedle\r\n--b\r\n"
        b"Content-Type: application/pdf\r\n\r\n" + b"z" * 1000 + b"\r\n--b--\r\n"
    )
    vault.append("INBOX", NewMessage(raw, frozenset(), arrival_time()))
    index_all(vault)
    assert vault._query("SELECT count(body) FROM texts", ()) == [(1,)]
    indexed = vault._query("SELECT doc FROM trigram_terms WHERE term = 'nee'", ())
    assert indexed == vault._query("SELECT id FROM contents", ())
    assert found(vault, BODY, "needle") == {1}


def test_what_the_release_before_delivers_is_caught_up_with(vault: Vault) -> None:
    vault._query(
        "INSERT INTO contents (size, outline_version, outline, header, body)"
        " VALUES (8, 0, '', CAST('a: b' || x'0a0a' AS BLOB), CAST('öl' AS BLOB))",
        (),
    )
    vault._query(
        "INSERT INTO messages (folder, uid, content, size, internal_date, zone, flags, modseq)"
        " VALUES (1, 1, 1, 9, 0, 0, '', 2)",
        (),
    )
    vault._query("UPDATE contents SET size = 9", ())
    assert vault.usage().bytes == 9
    assert found(vault, BODY, "öl") == {1}
    index_all(vault)
    assert found(vault, FIELD, "b", "a") == {1}


def test_the_index_forgets_what_is_gone(vault: Vault) -> None:
    vault.append("INBOX", message("needle"))
    index_all(vault)
    folder = vault.folder("INBOX").id
    vault.store_flags(folder, [1], FlagChange.ADD, frozenset({"\\Deleted"}))
    vault.expunge(folder, None)
    vault.append("INBOX", message("straw"))  # may have the same id of content
    assert found(vault, BODY, "needle") == set()
    index_all(vault)
    assert found(vault, BODY, "needle") == set()
    assert found(vault, BODY, "straw") == {2}


def test_search_over_imap(imap: RawImap) -> None:
    imap.append("Subject: Größe\r\n\r\nnaïve".encode())
    imap.append(b"Subject: =?iso-8859-1?q?Gr=FC=DFe?=\r\n\r\nother")
    imap.ok("SELECT INBOX")
    assert imap.ok("SEARCH SUBJECT grusse NOT BODY naive") == [b"* SEARCH 2"]
    assert imap.ok("SEARCH OR BODY NAIVE TEXT other") == [b"* SEARCH 1 2"]
    assert imap.ok('SEARCH HEADER Subject ""') == [b"* SEARCH 1 2"]

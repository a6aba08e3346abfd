"""SORT and THREAD: what is compared, and the orders that come of it."""

from __future__ import annotations

import pickle
import re
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmaster.crypto import DataKey
from postmaster.imap.commands import sorting
from postmaster.imap.grammar import Parser
from postmaster.imap.sort import SortKey, parse_sort_keys, sort_rows
from postmaster.imap.thread import Entry, thread_by_references, thread_entry, thread_line
from postmaster.message.address import Address
from postmaster.message.order import (
    MAX_COMPARED,
    MAX_FIELD,
    Heading,
    base_subject,
    collation,
    display_name,
    find_references,
    mailbox_name,
    message_ids,
    sent_seconds,
)
from postmaster.storage.interface import Message, NewMessage, arrival_time
from postmaster.storage.vault import Vault
from tests.unit.postmaster.harness import RawImap, bounded

MAIL = (
    b"From: Zoe <anna@b.example>\r\nTo: bob@x.example\r\nSubject: Re: apples\r\n"
    b"Date: Mon, 2 Feb 2026 10:00:00 +0100\r\n\r\nfirst\r\n",
    b"From: anna@c.example\r\nTo: Al <carl@x.example>\r\nCc: dora@x.example\r\n"
    b"Subject: [list] Pears\r\n"
    b"Date: Mon, 2 Feb 2026 09:30:00 +0000\r\n\r\nsecond, which is longer\r\n",
    b"From: =?utf-8?q?=C3=89mile?= <Carl@b.example>\r\nSubject: apples (fwd)\r\n\r\n3\r\n",
    b"\r\nnothing\r\n",
)


@pytest.fixture
def inbox(imap: RawImap) -> RawImap:
    """A client with MAIL in its selected inbox, arrived a day apart, the latest first."""
    for number, message in enumerate(MAIL):
        day = b'" %d-Jan-2026 00:00:00 +0000"' % (9 - number)
        imap.ok(b"APPEND INBOX %b {%d+}\r\n%b" % (day, len(message), message))
    imap.ok("SELECT INBOX")
    return imap


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ("ARRIVAL", b"4 3 2 1"),
        ("REVERSE ARRIVAL", b"1 2 3 4"),
        ("DATE", b"4 3 1 2"),  # without a Date field by arrival
        ("SIZE", b"4 3 1 2"),
        ("SUBJECT", b"4 1 3 2"),
        ("SUBJECT REVERSE DATE", b"4 1 3 2"),
        ("SUBJECT DATE", b"4 3 1 2"),
        ("FROM", b"4 1 2 3"),
        ("REVERSE FROM ARRIVAL", b"3 2 1 4"),
        ("TO", b"3 4 1 2"),
        ("CC TO", b"3 4 1 2"),
        ("DISPLAYFROM", b"4 2 3 1"),
        ("DISPLAYTO", b"3 4 2 1"),
    ],
)
def test_sort(inbox: RawImap, keys: str, numbers: bytes) -> None:
    assert inbox.ok(f"SORT ({keys}) UTF-8 ALL") == [b"* SORT " + numbers]


def test_sort_is_narrowed_and_answers_with_uids(inbox: RawImap) -> None:
    inbox.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    inbox.ok("EXPUNGE")
    assert inbox.ok("UID SORT (SUBJECT) US-ASCII ALL") == [b"* SORT 4 3 2"]
    assert inbox.ok("SORT (SUBJECT) US-ASCII ALL") == [b"* SORT 3 2 1"]
    assert inbox.ok("UID SORT (SUBJECT) UTF-8 SUBJECT e NOT TEXT longer") == [b"* SORT 3"]
    assert inbox.ok("SORT (SUBJECT) UTF-8 FROM nobody") == [b"* SORT"]
    inbox.ok("SEARCH RETURN (SAVE) UID 2:3")
    assert inbox.ok("UID SORT (DATE) UTF-8 $") == [b"* SORT 3 2"]
    (line,) = inbox.ok("SORT (DATE) UTF-8 MODSEQ 1")[-1:]
    assert line.startswith(b"* SORT 3 2 1 (MODSEQ ")


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "SUBJECT UTF-8 ALL",
        "() UTF-8 ALL",
        "(REVERSE) UTF-8 ALL",
        "(REVERSE REVERSE DATE) UTF-8 ALL",
        "(NOSUCH) UTF-8 ALL",
        "(DATE) UTF-8",
        "(DATE) ALL",
        "(DATE " + "SIZE " * 30 + "SIZE) UTF-8 ALL",
    ],
)
def test_sort_refuses_what_it_does_not_know(inbox: RawImap, arguments: str) -> None:
    answer, _ = inbox.command(f"SORT {arguments}")
    assert answer.startswith((b"BAD", b"NO [BADCHARSET"))


def test_an_outline_of_another_version_is_computed_anew(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "a.vault", DataKey(bytes(range(32))))
    for raw in MAIL:
        vault.append("INBOX", NewMessage(raw, frozenset(), arrival_time()))
    folder = vault.folder("INBOX").id
    before = vault.headings(folder, [1, 2, 3, 4, 5], references=True)
    assert before.keys() == {1, 2, 3, 4}
    assert before[2].cc == Address(None, b"dora", b"x.example")
    vault._query("UPDATE contents SET outline_version = 99, outline = '{}'", ())
    assert vault.headings(folder, [1, 2, 3, 4], references=True) == before
    vault.close()


# What is compared


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        (b"", "", False),
        (b"apples", "APPLES", False),
        (b"Re: apples", "APPLES", True),
        (b"RE[2]: Fwd: apples (fwd) (FWD) ", "APPLES", True),
        (b"[list] Re: [list] apples", "APPLES", True),
        (b"[list] apples", "APPLES", False),
        (b"[list]", "[LIST]", False),
        (b"[fwd: apples]", "APPLES", True),
        (b"[Fwd: Re: apples (fwd)] (fwd)", "APPLES", True),
        (b"Re:", "", True),
        (b"re :\tapples\t and  pears", "APPLES AND PEARS", True),
        (b"=?utf-8?q?Re:_=C3=A4pfel?=", "A\u0308PFEL", True),
        (b"Reply: apples", "REPLY: APPLES", False),
        (b"apples (fwd) and pears", "APPLES (FWD) AND PEARS", False),
        (b"[a][b] fw[c]: x", "X", True),
        (b"[a] [b][c] x", "X", False),
        (b"Re: [a] [b]", "[B]", True),
        (b"x (fwd)(FWD) \t(fwd)", "X", True),
        (b"(fwd)", "", True),
    ],
)
def test_base_subjects(subject: bytes, base: str, is_reply: bool) -> None:
    assert base_subject(subject) == (base, is_reply)


@pytest.mark.parametrize("piece", [b"[]", b"[a] ", b"re:", b"(fwd) ", b"[fwd:", b"re []"])
def test_a_hostile_subject_takes_no_time(piece: bytes) -> None:
    subject = (piece * 1000)[:MAX_FIELD]
    started = time.process_time()
    for _ in range(50):  # as many as come with a little spam
        base_subject(subject)
        base_subject(subject + b"x")
    assert time.process_time() - started < 4


@given(st.binary(max_size=3000) | st.text("[]()Rre:fFwd \t", max_size=3000).map(str.encode))
@bounded
def test_any_subject_has_a_base(subject: bytes) -> None:
    base, _ = base_subject(subject)
    assert len(base) <= MAX_COMPARED
    assert not base.startswith(("RE:", "FWD:"))


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        (b"Thu, 1 Jan 1970 00:01:00 +0000", 60),
        (b"1 Jan 1970 02:00:00 +0100 (comment)", 3600),
        (b"Thu, 01 Jan 1970 00:00:00 -0000", 0),
        (b"Thu, 01 Jan 1970 00:00:00", 0),
        (b"Fri, 32 Foo 2026 99:99:99 +9999", None),
        (b"yesterday", None),
        (b"", None),
        (None, None),
    ],
)
def test_dates(date: bytes | None, seconds: int | None) -> None:
    assert sent_seconds(date) == seconds


@given(st.binary(max_size=200))
@bounded
def test_any_date_is_a_number_or_none(date: bytes) -> None:
    seconds = sent_seconds(date)
    assert seconds is None or isinstance(seconds, int)


def test_names_of_addresses() -> None:
    assert mailbox_name(None) == display_name(None) == ""
    assert display_name(Address(None, b"a", b"b.example")) == "A@B.EXAMPLE"
    assert display_name(Address(b"=?utf-8?q?=C3=89?=", b"a", b"b")) == "E\u0301"
    assert display_name(Address(None, b"a group", None)) == "A GROUP"
    assert mailbox_name(Address(b"x", b"a\xff", b"b")) == "A\ufffd"
    assert collation("straße") == "STRAßE"
    assert collation("\u01c6") == collation("\u01c4")  # one letter in three cases


def test_message_ids() -> None:
    header = (
        b'A: b\r\nReferences: <a@b>\r\n\t<"c d"@e> <"f"@g> <h> <@i> x <j@k>\r\nC: <no@no>\r\n\r\n'
    )
    assert message_ids(find_references(header)) == [b"a@b", b"c d@e", b"f@g", b"j@k"]
    assert message_ids(b"<" + b"x" * 250 + b"@y>") == []
    assert find_references(b"X-References: <a@b>\r\n\r\n") is None


@given(st.lists(st.tuples(st.integers(0, 3), st.text("ab", max_size=2))), st.booleans())
@bounded
def test_rows_are_sorted_like_tuples(values: list[tuple[int, str]], reverse: bool) -> None:
    rows = [(uid, *value) for uid, value in enumerate(values, 1)]
    keys = (SortKey("SIZE", reverse), SortKey("SUBJECT"))
    sign = -1 if reverse else 1
    expected = sorted(rows, key=lambda row: (sign * int(row[1]), row[2], row[0]))
    assert sort_rows(rows, keys) == [row[0] for row in expected]


def test_who_sorts_takes_nobody_elses_threads(
    inbox: RawImap, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def noted(*_arguments: object) -> list[int]:
        names.append(threading.current_thread().name)
        return []

    monkeypatch.setattr(sorting, "sort_rows", noted)
    inbox.ok("SORT (SUBJECT) UTF-8 ALL")
    assert [name.partition("-")[0] for name in names] == ["vault"]


def test_a_key_that_comes_again_is_not_compared_again() -> None:
    keys = parse_sort_keys(Parser(b"(REVERSE SUBJECT DATE SUBJECT REVERSE DATE SUBJECT)"))
    assert keys == (SortKey("SUBJECT", reverse=True), SortKey("DATE"))


# THREAD


def entry(uid: int, subject: str = "", *references: str, sent: int | None = None) -> Entry:
    """Return a message `uid` whose id is that number; a subject with `Re:` is a reply."""
    base, is_reply = base_subject(subject.encode())
    at = uid if sent is None else sent
    return Entry(uid, at, base, is_reply, hash(str(uid)), [hash(one) for one in references])


def threads(*entries: Entry) -> bytes:
    return thread_line(thread_by_references(entries), lambda uid: uid).removeprefix(b"* THREAD")


def test_threads_by_references() -> None:
    assert threads() == b""
    assert threads(entry(1)) == b" (1)"
    assert threads(entry(1), entry(2, "", "1"), entry(3, "", "1", "2")) == b" (1 2 3)"
    assert threads(entry(1), entry(2, "", "1"), entry(3, "", "1")) == b" (1 (2)(3))"
    # The answer was there before what it answers, and one of them is missing.
    assert threads(entry(1, "", "9", "2"), entry(2, "", "9")) == b" (2 1)"
    assert threads(entry(1, "", "8", "9"), entry(2, "", "9"), entry(3, "", "8")) == b" ((1)(2)(3))"
    assert threads(entry(1, "", "8"), entry(2, "", "1"), entry(3, "", "1")) == b" (1 (2)(3))"


def test_threads_with_impossible_references() -> None:
    assert threads(entry(1, "", "1")) == b" (1)"
    assert threads(entry(1, "", "2"), entry(2, "", "1")) == b" (2 1)"
    assert threads(entry(1, "", "2", "3"), entry(2, "", "3", "1"), entry(3, "", "1", "2")) in {
        b" (2 1 3)",
        b" (2 3 1)",
        b" (2 (1)(3))",
        b" (2 3)(1)",
    }
    twice = Entry(2, 2, "", False, hash("1"), ())
    assert threads(entry(1), twice, entry(3, "", "1")) == b" (1 3)(2)"
    nameless = Entry(2, 2, "", False, None, (hash("1"),))
    assert threads(entry(1), nameless) == b" (1 2)"


def test_threads_by_subject() -> None:
    assert threads(entry(1, "a"), entry(2, "Re: a"), entry(3, "b")) == b" (1 2)(3)"
    assert threads(entry(1, "Re: a"), entry(2, "a")) == b" (2 1)"
    assert threads(entry(1, "a"), entry(2, "a")) == b" ((1)(2))"
    assert threads(entry(1, "a"), entry(2, "Re: a"), entry(3, "a")) == b" ((1 2)(3))"
    assert threads(entry(1, "Re: a"), entry(2, "Re: a"), entry(3, "Re: a")) == b" ((1)(2)(3))"
    assert threads(entry(1), entry(2), entry(3, "Re:")) == b" (1)(2)(3)"
    missing = [entry(1, "Re: a", "9"), entry(2, "Re: a", "9"), entry(3, "a")]
    assert threads(*missing) == b" ((1)(2)(3))"
    two = [*missing, entry(4, "Re: a", "8"), entry(5, "Re: a", "8")]
    assert threads(*two) == b" ((1)(2)(3)(4)(5))"


def test_threads_by_date() -> None:
    assert threads(entry(1, sent=9), entry(2, sent=3), entry(3, "", "1", sent=1)) == b" (2)(1 3)"
    late = [entry(1, "", "9", sent=7), entry(2, "", "9", sent=5), entry(3, sent=6)]
    assert threads(*late) == b" ((2)(1))(3)"


def test_a_thread_may_be_as_deep_as_there_are_messages() -> None:
    count = 5000
    chain = [entry(1), *(entry(uid, "", str(uid - 1)) for uid in range(2, count + 1))]
    assert threads(*chain) == b" (" + b" ".join(b"%d" % uid for uid in range(1, count + 1)) + b")"
    # Each answers the one that comes after it.
    backwards = [entry(uid, "", str(uid + 1)) for uid in range(1, count + 1)]
    assert threads(*backwards).startswith(b" (5000 4999 4998 ")
    comb = [entry(uid, "", str(uid - 2 + uid % 2)) for uid in range(1, count + 1)]
    assert threads(*comb).count(b"(") > count / 2


def test_who_makes_up_references_gets_no_memory_for_them() -> None:
    entries = [
        entry(uid, "", *(f"{uid}.{number}" for number in range(100))) for uid in range(1, 2001)
    ]
    assert len(thread_by_references(entries).uids) < 10 * len(entries)
    ids = [b"<%d@%b>" % (number, b"x" * 140) for number in range(200)]
    message = Message(1, frozenset(), 0, 0, 1, 1, 1)
    kept = thread_entry(message, Heading(message_id=ids[0], references=b" ".join(ids)))
    assert len(kept.references) == 100
    assert len(pickle.dumps(kept)) < 2000  # the ids alone are 14 KB
    answered = thread_entry(message, Heading(message_id=ids[-1]))
    assert answered.id == kept.references[-1]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(("", "a", "Re: a", "b")),
            st.lists(st.integers(1, 15), max_size=5),
        ),
        max_size=15,
    )
)
@bounded
def test_each_message_is_in_one_thread(
    values: list[tuple[int, str, list[int]]],
) -> None:
    entries = [
        entry(uid, subject, *map(str, references), sent=sent)
        for uid, (sent, subject, references) in enumerate(values, 1)
    ]
    line = threads(*entries)
    found = [int(number) for number in re.findall(rb"\d+", line)]
    assert sorted(found) == [one.uid for one in entries]
    assert line.count(b"(") == line.count(b")")
    assert re.fullmatch(rb"(?: [(](?:[(]+\d+|\d+|[ ]|[)]+[(]?)*)?", line), line
    forest = thread_by_references(entries)
    for siblings in (forest.roots, *forest.children):
        assert len(set(siblings)) == len(siblings)


def test_thread(inbox: RawImap) -> None:
    answer = b"Subject: other\r\nMessage-ID: <2@x>\r\nIn-Reply-To: the one of <1@x>\r\n\r\n"
    inbox.append(b"Subject: one\r\nMessage-ID: <1@x>\r\n\r\n")
    inbox.append(answer)
    inbox.append(b"Subject: no\r\nReferences: <1@x>\r\n <2@x>\r\n\r\n")
    inbox.ok("NOOP")
    assert inbox.ok("THREAD REFERENCES UTF-8 ALL") == [b"* THREAD (4)((3)(1))(2)(5 6 7)"]
    inbox.ok(r"STORE 4 +FLAGS.SILENT (\Deleted)")
    inbox.ok("EXPUNGE")
    assert inbox.ok("THREAD REFERENCES UTF-8 5:6 NOT 1") == [b"* THREAD (5 6)"]
    assert inbox.ok("UID THREAD REFERENCES US-ASCII UID 5:7") == [b"* THREAD (5 6 7)"]
    assert inbox.ok("THREAD REFERENCES UTF-8 DRAFT") == [b"* THREAD"]
    for wrong in ("THREAD", "THREAD ORDEREDSUBJECT UTF-8 ALL", "THREAD REFERENCES UTF-8"):
        assert inbox.command(wrong)[0].startswith(b"BAD")

"""The extensions of IMAP over real sockets, each as its RFC has it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from postmaster.imap.capability import CAPABILITIES
from postmaster.imap.commands import storing
from postmaster.imap.registry import find
from postmaster.message.mime import parse_message
from postmaster.message.text import decode_body
from postmaster.message.transfer import without_binary_parts
from tests.unit.postmaster.harness import RawImap

Connect = Callable[[str | None], RawImap]

PLAIN = b"From: a@b.example\r\nSubject: one\r\n\r\nHello\r\n"
BINARY = (
    b"Subject: zero\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n--x\r\n"
    b"Content-Type: application/octet-stream\r\ncontent-transfer-encoding:\r\n binary\r\n\r\n"
    b"\0\x01\xff" + b"\r\n--x--\r\n"
)


@pytest.fixture
def inbox(imap: RawImap) -> RawImap:
    """A client with four messages in its selected inbox."""
    for _ in range(4):
        imap.append(PLAIN)
    imap.ok("SELECT INBOX")
    return imap


def modseq(line: bytes) -> int:
    match = re.search(rb"MODSEQ \((\d+)\)", line)
    assert match, line
    return int(match.group(1))


def test_what_is_advertised_has_its_commands(imap: RawImap) -> None:
    (line,) = imap.ok("CAPABILITY")
    wanted = {*CAPABILITIES, "APPENDLIMIT=262144"}
    assert {word.decode() for word in line.split()[2:]} == wanted
    for name in (
        *("GETQUOTA", "GETQUOTAROOT", "MOVE", "UID MOVE", "UNSELECT", "ENABLE", "IDLE"),
        *("SORT", "UID SORT", "THREAD", "UID THREAD", "COMPRESS"),
    ):
        assert find(name) is not None


# STATUS=SIZE, APPENDLIMIT, QUOTA, LIST-STATUS


def test_status_tells_sizes(inbox: RawImap) -> None:
    inbox.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)")
    (line,) = inbox.ok("STATUS INBOX (SIZE DELETED DELETED-STORAGE APPENDLIMIT)")
    size = len(PLAIN)
    assert line == (
        b'* STATUS "INBOX" (SIZE %d DELETED 1 DELETED-STORAGE %d APPENDLIMIT 262144)'
        % (4 * size, size)
    )


def test_quota_has_one_root(inbox: RawImap) -> None:
    root, quota = inbox.ok("GETQUOTAROOT INBOX")
    assert root == b'* QUOTAROOT "INBOX" ""'
    assert quota == b'* QUOTA "" ()'  # no limit
    assert inbox.ok('GETQUOTA ""') == [quota]
    assert inbox.command("GETQUOTA other")[0].startswith(b"NO [NONEXISTENT]")
    assert inbox.command("GETQUOTAROOT nowhere")[0].startswith(b"NO [NONEXISTENT]")


def test_list_with_status(inbox: RawImap) -> None:
    lines = inbox.ok('LIST "" (INBOX Sent) RETURN (STATUS (MESSAGES UNSEEN))')
    assert lines == [
        b'* LIST (\\HasNoChildren) "/" "INBOX"',
        b'* STATUS "INBOX" (MESSAGES 4 UNSEEN 4)',
        b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"',
        b'* STATUS "Sent" (MESSAGES 0 UNSEEN 0)',
    ]


# LIST-EXTENDED, SPECIAL-USE, CREATE-SPECIAL-USE


def test_list_selects(imap: RawImap) -> None:
    imap.ok("CREATE a/b")
    imap.ok("SUBSCRIBE a/b")
    assert imap.ok('LIST (SUBSCRIBED) "" "a*"') == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "a/b"'
    ]
    assert imap.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" %')[-1].endswith(
        b'"a" ("CHILDINFO" ("SUBSCRIBED"))'
    )
    assert imap.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" (a a/b)') == [
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "a/b"'
    ]
    uses = imap.ok('LIST (SPECIAL-USE) "" *')
    assert len(uses) == 5
    assert imap.ok('LIST "" (a/b Junk) RETURN (SUBSCRIBED)') == [
        b'* LIST (\\HasNoChildren \\Junk \\Subscribed) "/" "Junk"',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "a/b"',
    ]
    imap.ok("SUBSCRIBE a")
    imap.ok("DELETE a")
    assert imap.ok('LIST (SUBSCRIBED) "" a') == [
        b'* LIST (\\HasChildren \\NonExistent \\Subscribed) "/" "a"'
    ]
    assert imap.ok('LSUB "" a') == [b'* LSUB (\\HasChildren \\Noselect) "/" "a"']
    imap.ok("UNSUBSCRIBE a")
    assert imap.ok('LIST (SUBSCRIBED) "" a') == []
    assert imap.ok('LIST (REMOTE) "" a') == [b'* LIST (\\HasChildren \\NonExistent) "/" "a"']


@pytest.mark.parametrize(
    "arguments",
    [
        '(NOSUCH) "" *',
        '(RECURSIVEMATCH) "" *',
        '(RECURSIVEMATCH REMOTE) "" *',
        '"" * RETURN (NOSUCH)',
        '"" * RETURN (STATUS)',
        '"" () ',
        '"" (' + "a " * 200 + "a)",
        '"" * RETURN',
    ],
)
def test_list_refuses_what_it_does_not_know(imap: RawImap, arguments: str) -> None:
    assert imap.command(f"LIST {arguments}")[0].startswith(b"BAD")


def test_create_with_a_special_use(imap: RawImap) -> None:
    assert imap.command(r"CREATE mine (USE (\Sent))")[0].startswith(b"NO [USEATTR]")
    assert imap.command(r"CREATE mine (USE (\All))")[0].startswith(b"NO [USEATTR]")
    assert imap.command(r"CREATE mine (USE (\Sent \Junk))")[0].startswith(b"NO [USEATTR]")
    imap.ok("DELETE Sent")
    imap.ok(r"CREATE mine (USE (\sent))")
    assert imap.ok('LIST "" mine') == [b'* LIST (\\HasNoChildren \\Sent) "/" "mine"']
    assert imap.command(r"CREATE other (USE \Sent)")[0].startswith(b"BAD")


# ESEARCH, SEARCHRES, WITHIN


def test_esearch(inbox: RawImap) -> None:
    inbox.ok(r"STORE 2,4 +FLAGS.SILENT (\Flagged)")
    inbox.send(b"x UID SEARCH RETURN (MIN MAX ALL COUNT) FLAGGED\r\n")
    assert inbox.line() == b'* ESEARCH (TAG "x") UID MIN 2 MAX 4 ALL 2,4 COUNT 2'
    assert inbox.line().startswith(b"x OK")
    (everything,) = inbox.ok("SEARCH RETURN () ALL")
    assert everything.endswith(b" ALL 1:4")
    (nothing,) = inbox.ok("SEARCH RETURN (MIN COUNT) DRAFT")
    assert nothing.endswith(b" COUNT 0")
    assert inbox.command("SEARCH RETURN (NOSUCH) ALL")[0].startswith(b"BAD")


def test_a_saved_result_is_used(inbox: RawImap) -> None:
    assert inbox.ok("FETCH $ UID") == []
    assert inbox.ok("SEARCH RETURN (SAVE) UID 2:3") == []
    assert inbox.ok("FETCH $ UID") == [b"* 2 FETCH (UID 2)", b"* 3 FETCH (UID 3)"]
    inbox.ok(r"UID STORE $ +FLAGS.SILENT (\Deleted)")
    assert inbox.ok("SEARCH NOT $") == [b"* SEARCH 1 4"]
    assert inbox.ok("SEARCH UID $") == [b"* SEARCH 2 3"]
    inbox.ok("UID EXPUNGE $")
    assert inbox.ok("UID FETCH $ UID") == []  # what is gone is no longer meant
    inbox.ok("SEARCH RETURN (SAVE MIN) ALL")
    assert inbox.ok("UID COPY $ Archive") == []
    assert inbox.ok("STATUS Archive (MESSAGES)") == [b'* STATUS "Archive" (MESSAGES 1)']
    inbox.ok("SELECT INBOX")
    assert inbox.ok("SEARCH $") == [b"* SEARCH"]  # it belongs to one selected folder


def test_within(inbox: RawImap) -> None:
    old = b'APPEND INBOX " 7-Jul-2024 02:44:25 -0730" {%d+}\r\n' % len(PLAIN)
    inbox.command(old + PLAIN)
    inbox.ok("NOOP")
    assert inbox.ok("SEARCH OLDER 86400") == [b"* SEARCH 5"]
    assert inbox.ok("SEARCH YOUNGER 86400") == [b"* SEARCH 1 2 3 4"]
    assert inbox.command("SEARCH OLDER 0")[0].startswith(b"BAD")


# CONDSTORE


def test_modseqs_are_told_once_wanted(inbox: RawImap, connect: Connect, person: str) -> None:
    (answer,) = inbox.ok("STORE 1 +FLAGS (a)")[-1:]
    assert b"MODSEQ" not in answer
    lines = inbox.ok("FETCH 1 (MODSEQ)")
    assert lines[0].startswith(b"* OK [HIGHESTMODSEQ ")
    first = modseq(lines[-1])
    assert first == int(lines[0].split()[3].rstrip(b"]"))
    second = modseq(inbox.ok("STORE 2 +FLAGS.SILENT (a)")[-1])
    assert second > first
    other = connect(person)
    other.ok("SELECT INBOX (CONDSTORE)")
    third = modseq(other.ok("UID STORE 3 +FLAGS (b)")[-1])
    (news,) = (line for line in inbox.ok("NOOP") if b" FETCH " in line)
    assert modseq(news) == third
    assert inbox.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {first})") == [
        b"* 2 FETCH (UID 2 FLAGS (\\Recent a) MODSEQ (%d))" % second,
        b"* 3 FETCH (UID 3 FLAGS (\\Recent b) MODSEQ (%d))" % third,
    ]
    assert inbox.ok("STATUS INBOX (HIGHESTMODSEQ)") == [
        b'* STATUS "INBOX" (HIGHESTMODSEQ %d)' % third
    ]


def test_a_conditional_store_spares_what_changed(inbox: RawImap) -> None:
    inbox.ok("ENABLE CONDSTORE")
    before = modseq(inbox.ok("FETCH 4 (MODSEQ)")[0])
    inbox.ok("STORE 2 +FLAGS.SILENT (mine)")
    answer, lines = inbox.command(f"STORE 1:3 (UNCHANGEDSINCE {before}) +FLAGS.SILENT (theirs)")
    assert answer.startswith(b"OK [MODIFIED 2]")
    assert [line.split()[1] for line in lines if b" FETCH " in line] == [b"1", b"3"]
    assert b"theirs" not in inbox.ok("FETCH 2 FLAGS")[0]
    answer, _ = inbox.command(r"UID STORE 1:* (UNCHANGEDSINCE 0) FLAGS (\Seen)")
    assert answer.startswith(b"OK [MODIFIED 1:4]")


def test_many_messages_are_flagged_in_steps(
    inbox: RawImap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "STORED_AT_ONCE", 3)
    lines = inbox.ok("STORE 1:* +FLAGS (a)")
    assert [line.split()[1] for line in lines if b" FETCH " in line] == [b"1", b"2", b"3", b"4"]
    assert inbox.ok("SEARCH KEYWORD a") == [b"* SEARCH 1 2 3 4"]
    before = modseq(inbox.ok("FETCH 4 MODSEQ")[-1])
    for number in (2, 4):
        inbox.ok(f"STORE {number} +FLAGS.SILENT (theirs)")
    answer, _ = inbox.command(f"STORE 1:4 (UNCHANGEDSINCE {before}) +FLAGS.SILENT (mine)")
    assert answer.startswith(b"OK [MODIFIED 2,4]")
    assert inbox.ok("SEARCH KEYWORD mine") == [b"* SEARCH 1 3"]
    assert inbox.command("UID STORE 9 +FLAGS (a)") == (b"OK stored", [])


def test_search_by_modseq(inbox: RawImap) -> None:
    inbox.ok("ENABLE CONDSTORE")
    latest = modseq(inbox.ok("STORE 2 +FLAGS (a)")[-1])
    assert inbox.ok(f'SEARCH MODSEQ "/flags/a" all {latest}') == [
        b"* SEARCH 2 (MODSEQ %d)" % latest
    ]
    (line,) = inbox.ok("SEARCH RETURN (MIN MAX) MODSEQ 1")
    assert line.endswith(b" MIN 1 MAX 4 MODSEQ %d" % modseq(inbox.ok("FETCH 4 MODSEQ")[0]))
    assert inbox.ok(f"SEARCH MODSEQ {latest + 1}") == [b"* SEARCH"]
    assert inbox.command("SEARCH MODSEQ 9223372036854775808")[0].startswith(b"BAD")


# MULTIAPPEND, BINARY


def test_several_messages_in_one_append(imap: RawImap) -> None:
    head = b"APPEND Sent (\\Seen) {%d+}\r\n" % len(PLAIN)
    answer, _ = imap.command(head + PLAIN + b" (a) {%d+}\r\n" % len(BINARY) + BINARY)
    assert re.match(rb"OK \[APPENDUID \d+ 1:2\]", answer)
    answer, _ = imap.command(head + PLAIN + b" {0+}\r\n")
    assert answer.startswith(b"NO")
    half = b"x" * 150_000
    answer, _ = imap.command(b"APPEND Sent {150000+}\r\n" + half + b" {150000+}\r\n" + half)
    assert answer.startswith(b"NO [TOOBIG]")
    assert imap.ok("STATUS Sent (MESSAGES)") == [b'* STATUS "Sent" (MESSAGES 2)']


def test_binary_comes_in_and_goes_out(imap: RawImap) -> None:
    imap.ok("SELECT INBOX")
    answer, _ = imap.command(b"APPEND INBOX ~{%d+}\r\n" % len(BINARY) + BINARY)
    assert answer.startswith(b"OK")
    (line,) = imap.ok("UID FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2] BINARY.PEEK[2]<1.1>)")[-1:]
    assert line == (
        b"* 1 FETCH (UID 1 BINARY.SIZE[2] 3 BINARY[2] ~{3}\r\n\0\x01\xff BINARY[2]<1> {1}\r\n\x01)"
    )
    assert b"\0" not in imap.ok("FETCH 1 BODY.PEEK[]")[0]


def test_a_part_in_an_unknown_encoding_is_not_decoded(imap: RawImap) -> None:
    imap.ok("SELECT INBOX")
    imap.append(b"Content-Transfer-Encoding: x-secret\r\n\r\nabc")
    imap.ok("NOOP")
    answer, lines = imap.command("FETCH 1 BINARY.PEEK[1]")
    assert answer.startswith(b"NO [UNKNOWN-CTE]")
    assert not any(b"BINARY" in line for line in lines)


def test_binary_parts_are_kept_as_base64() -> None:
    kept = without_binary_parts(BINARY)
    part = parse_message(kept).children[1]
    assert b"\0" not in kept
    assert part.encoding == b"BASE64"
    assert decode_body(kept, part) == b"\0\x01\xff"
    assert without_binary_parts(PLAIN) == PLAIN


# UTF8=ACCEPT


def test_names_in_utf8_once_enabled(imap: RawImap) -> None:
    imap.ok("CREATE &ZeVnLIqe-")
    assert imap.ok("ENABLE UTF8=ACCEPT X-NOSUCH") == [b"* ENABLED UTF8=ACCEPT"]
    assert imap.ok("ENABLE UTF8=ACCEPT") == [b"* ENABLED"]
    assert imap.ok('LIST "" "日*"'.encode()) == ['* LIST (\\HasNoChildren) "/" "日本語"'.encode()]
    imap.ok('CREATE "Entwürfe & mehr"'.encode())
    imap.ok('SELECT "Entwürfe & mehr"'.encode())
    imap.ok(b'APPEND "Entw\xc3\xbcrfe & mehr" UTF8 (~{%d+}\r\n%b)' % (len(PLAIN), PLAIN))
    imap.ok('SEARCH SUBJECT "grün"'.encode())
    assert imap.command("SEARCH CHARSET UTF-8 ALL")[0].startswith(b"BAD")
    assert imap.command(b'CREATE "\xff"')[0].startswith(b"NO [CANNOT]")


# OBJECTID


def email_ids(client: RawImap, items: str = "FETCH 1:*") -> list[bytes]:
    ids = [
        re.search(rb"EMAILID \(([A-Za-z0-9_-]+)\)", line) for line in client.ok(f"{items} EMAILID")
    ]
    return [match.group(1) for match in ids if match]


def test_folders_keep_their_id(imap: RawImap) -> None:
    answer, _ = imap.command("CREATE one")
    match = re.fullmatch(rb"OK \[MAILBOXID \((F\d+)\)\] made", answer)
    assert match, answer
    imap.ok("RENAME one two")
    status = b"(MAILBOXID (%b))" % match.group(1)
    assert imap.ok("STATUS two (MAILBOXID)") == [b'* STATUS "two" ' + status]
    assert b"* OK [MAILBOXID (%b)] for ever" % match.group(1) in imap.ok("EXAMINE two")
    imap.ok("DELETE two")
    assert match.group(1) not in imap.command("CREATE one")[0]


def test_messages_keep_their_id_wherever_they_go(inbox: RawImap) -> None:
    ids = email_ids(inbox)
    assert len(set(ids)) == 4  # the same bytes that came four times are four messages
    assert inbox.ok("FETCH 1 THREADID") == [b"* 1 FETCH (THREADID NIL)"]
    assert inbox.ok(f"SEARCH EMAILID {ids[2].decode()}") == [b"* SEARCH 3"]
    assert inbox.ok(f"SEARCH NOT EMAILID {ids[2].decode().lower()}") == [b"* SEARCH 1 2 3 4"]
    assert inbox.ok("SEARCH THREADID any") == [b"* SEARCH"]
    for wrong in ("SEARCH EMAILID", "SEARCH EMAILID a.b", "SEARCH EMAILID " + 256 * "a"):
        assert inbox.command(wrong)[0].startswith(b"BAD")
    inbox.ok("COPY 2 Archive")
    inbox.ok("MOVE 4 Archive")
    inbox.ok("SELECT Archive")
    assert email_ids(inbox) == [ids[1], ids[3]]


def test_the_id_of_a_message_that_is_gone_is_not_used_again(inbox: RawImap) -> None:
    gone = email_ids(inbox)
    date = '"01-Jan-2026 00:00:00 +0000"'
    for _ in range(3):
        inbox.ok(b"APPEND INBOX " + date.encode() + b" {%d+}\r\n%b" % (len(PLAIN), PLAIN))
        inbox.ok("NOOP")
        ids = email_ids(inbox)
        assert ids[-1] not in gone
        gone.append(ids[-1])
        inbox.ok(r"STORE * +FLAGS.SILENT (\Deleted)")
        inbox.ok("EXPUNGE")

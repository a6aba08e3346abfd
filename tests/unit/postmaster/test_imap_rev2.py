"""IMAP4rev2 once it is enabled, after the examples of RFC 9051; its sections are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.postmaster.harness import RawImap

Connect = Callable[[str | None], RawImap]

SMITH = b"From: Smith <smith@b.example>\r\nSubject: one\r\n\r\nHello\r\n"
OTHER = "From: a@b.example\r\nSubject: 休暇\r\n\r\nHello\r\n".encode()
GLOBAL = (
    "Subject: outer\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    "--x\r\nContent-Type: message/global\r\n\r\nSubject: 休暇\r\n\r\nfar away\r\n"
    "--x\r\nContent-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "U3ViamVjdA==\r\n"
    "--x--\r\n"
).encode()


@pytest.fixture
def rev2(imap: RawImap) -> RawImap:
    """A client that speaks IMAP4rev2, with three messages in its inbox."""
    assert imap.ok("ENABLE IMAP4rev2") == [b"* ENABLED IMAP4rev2"]
    imap.append(SMITH, flags=r"\Flagged $Junk")
    imap.append(OTHER, flags=r"\Flagged \Seen")
    imap.append(OTHER, flags=r"\Flagged $Forwarded")
    return imap


def test_it_is_offered_and_enabled_once(imap: RawImap) -> None:
    before = imap.ok("CAPABILITY")
    assert {b"IMAP4rev1", b"IMAP4rev2"} < set(before[0].split())
    assert imap.ok("ENABLE imap4REV2 CONDSTORE") == [b"* ENABLED CONDSTORE IMAP4rev2"]
    assert imap.ok("ENABLE IMAP4rev2") == [b"* ENABLED"]
    assert imap.ok("CAPABILITY") == before  # 6.3.1


def test_select_lists_the_folder_and_tells_nothing_old(rev2: RawImap) -> None:  # 6.3.2
    rev2.ok("CREATE INBOX/below")
    lines = rev2.ok("SELECT INBOX")
    assert b'* LIST (\\HasChildren \\Subscribed) "/" "INBOX"' in lines
    assert b"* 3 EXISTS" in lines
    assert [line for line in lines if b"RECENT" in line or b"[UNSEEN" in line] == []
    for code in (b"UIDVALIDITY", b"UIDNEXT 4", b"PERMANENTFLAGS"):
        assert any(line.startswith(b"* OK [" + code) for line in lines)
    lines = rev2.ok("EXAMINE Sent")
    assert lines[0].startswith(b"* OK [CLOSED]")
    assert b'* LIST (\\HasNoChildren \\Sent \\Subscribed) "/" "Sent"' in lines
    rev2.ok("UNSUBSCRIBE Sent")
    assert b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"' in rev2.ok("SELECT Sent")


def test_select_names_another_spelling(rev2: RawImap) -> None:  # 8
    rev2.ok("UNSUBSCRIBE INBOX")
    assert b'* LIST (\\HasNoChildren) "/" "INBOX" ("OLDNAME" ("inbox"))' in rev2.ok("SELECT inbox")


def test_nothing_is_recent(rev2: RawImap, connect: Connect, person: str) -> None:  # E, 12
    other = connect(person)
    rev2.ok("SELECT INBOX")
    other.append(SMITH)
    assert rev2.ok("NOOP") == [b"* 4 EXISTS"]
    (line,) = rev2.ok("FETCH 4 FLAGS")
    assert line == b"* 4 FETCH (FLAGS ())"
    other.ok("SELECT INBOX")
    other.ok(r"STORE 4 +FLAGS.SILENT \Seen")
    assert rev2.ok("NOOP") == [b"* 4 FETCH (UID 4 FLAGS (\\Seen))"]  # with its UID: E, 21


def test_what_is_enabled_while_a_folder_is_open_counts(imap: RawImap) -> None:
    imap.append(SMITH)
    imap.ok("SELECT INBOX")
    assert imap.ok("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS (\\Recent))"]
    imap.ok("ENABLE IMAP4rev2")
    assert imap.ok("FETCH 1 FLAGS") == [b"* 1 FETCH (FLAGS ())"]


def test_search_answers_with_esearch(rev2: RawImap) -> None:  # 6.4.4
    rev2.ok("SELECT INBOX")
    for command, answer in (
        ('SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"', "MIN 2 COUNT 2"),
        ('SEARCH RETURN () FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"', "ALL 2:3"),
        ('SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"', "ALL 2:3"),
        ('SEARCH TEXT "string not in mailbox"', ""),
        ("SEARCH RETURN (MIN MAX COUNT) DRAFT", "COUNT 0"),
        ('SEARCH CHARSET UTF-8 TEXT "休暇"', "ALL 2:3"),
        ('SEARCH SUBJECT "休暇"', "ALL 2:3"),
        ("SEARCH CHARSET UTF-8 TEXT {6+}\r\n休暇", "ALL 2:3"),
        ("SEARCH RETURN (MIN) UNSEEN", "MIN 1"),
        ("UID SEARCH RETURN (MIN MAX) 1:3", "UID MIN 1 MAX 3"),
        ("UID SEARCH KEYWORD $Junk", "UID ALL 1"),
        ("UID SEARCH UNKEYWORD $Forwarded", "UID ALL 1:2"),
        ("UID SEARCH DRAFT", "UID"),
        ("SEARCH LARGER 1 SMALLER 9223372036854775807", "ALL 1:3"),
    ):
        rev2.send(f"A282 {command}\r\n".encode())
        wanted = f'* ESEARCH (TAG "A282") {answer}'.rstrip()
        assert rev2.line() == wanted.encode(), command
        assert rev2.line().startswith(b"A282 OK"), command


def test_a_saved_result_is_forgotten_when_a_search_is_refused(rev2: RawImap) -> None:
    rev2.ok("SELECT INBOX")  # 6.4.4.1, and example 5 of 6.4.4.4
    assert rev2.ok("SEARCH RETURN (SAVE) FLAGGED") == []
    assert rev2.command("SEARCH RETURN (SAVE) NOSUCH")[0].startswith(b"BAD")
    assert rev2.command("SEARCH CHARSET KOI8-R ALL")[0].startswith(b"NO [BADCHARSET")
    assert rev2.ok("SEARCH $")[0].endswith(b" ALL 1:3")
    refused = rev2.command('SEARCH RETURN (SAVE) CHARSET KOI8-R (OR $ 1,3) TEXT "XXXX"')[0]
    assert refused.startswith(b"NO [BADCHARSET (US-ASCII UTF-8)]")
    assert rev2.ok("FETCH $ UID") == []
    assert rev2.ok("COPY $ Archive") == []


def test_names_are_net_unicode(rev2: RawImap, connect: Connect, person: str) -> None:  # 5.1
    rev2.ok('CREATE "日本語 & mehr"'.encode())
    assert rev2.ok('LIST "" "日%"'.encode()) == [
        '* LIST (\\HasNoChildren) "/" "日本語 & mehr"'.encode()
    ]
    assert rev2.ok('STATUS "日本語 & mehr" (MESSAGES SIZE DELETED)'.encode()) == [
        '* STATUS "日本語 & mehr" (MESSAGES 0 SIZE 0 DELETED 0)'.encode()
    ]
    assert connect(person).ok('LIST "" "&ZeVnLIqe- &- mehr"') == [
        b'* LIST (\\HasNoChildren) "/" "&ZeVnLIqe- &- mehr"'
    ]
    rev2.ok('CREATE "&ZeVnLIqe-"')  # which is not modified UTF-7 here
    assert rev2.ok('LIST "" "&*"') == [b'* LIST (\\HasNoChildren) "/" "&ZeVnLIqe-"']
    decomposed = "Entwu\u0308rfe"
    for command in (f'CREATE "{decomposed}"', f'RENAME "&ZeVnLIqe-" "{decomposed}"'):
        assert rev2.command(command)[0].startswith(b"NO [CANNOT]"), command
    assert rev2.command(b'CREATE "\xff"')[0].startswith(b"NO [CANNOT]")


def test_a_name_of_imap4rev1_is_kept_as_it_was_given(imap: RawImap) -> None:
    imap.ok("CREATE Entwu&Awg-rfe")  # decomposed (RFC 3501 5.1.3)
    assert imap.ok('LIST "" Ent*') == [b'* LIST (\\HasNoChildren) "/" "Entwu&Awg-rfe"']
    imap.ok("ENABLE IMAP4rev2")
    imap.ok('SELECT "Entwu\u0308rfe"'.encode())


def test_list_selects_and_returns(rev2: RawImap) -> None:  # 6.3.9.8
    for name in ("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"):
        rev2.ok(f"UNSUBSCRIBE {name}")
    for name in ("Fruit/Apple", "Fruit/Banana", "Vegetable/Broccoli"):
        rev2.ok(f"CREATE {name}")
    for name in ("Fruit", "Fruit/Banana", "Vegetable"):
        rev2.ok(f"SUBSCRIBE {name}")
    rev2.ok("DELETE Fruit")
    rev2.ok("DELETE Vegetable/Broccoli")
    assert rev2.ok('LIST (SUBSCRIBED) "" "*"') == [
        b'* LIST (\\HasChildren \\NonExistent \\Subscribed) "/" "Fruit"',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "Fruit/Banana"',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "Vegetable"',
    ]
    assert rev2.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" % RETURN (STATUS (MESSAGES))') == [
        b'* LIST (\\HasChildren \\NonExistent \\Subscribed) "/" "Fruit"'
        b' ("CHILDINFO" ("SUBSCRIBED"))',
        b'* LIST (\\HasNoChildren \\Subscribed) "/" "Vegetable"',
        b'* STATUS "Vegetable" (MESSAGES 0)',
    ]
    rev2.ok("CREATE Fruit")
    assert rev2.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" Fruit RETURN (STATUS (MESSAGES))') == [
        b'* LIST (\\HasChildren \\Subscribed) "/" "Fruit" ("CHILDINFO" ("SUBSCRIBED"))',
        b'* STATUS "Fruit" (MESSAGES 0)',
    ]
    assert rev2.command('LIST (RECURSIVEMATCH) "" *')[0].startswith(b"BAD")


def test_a_message_with_utf8_headers_has_its_structure(rev2: RawImap) -> None:  # 9
    rev2.ok("SELECT Sent")
    rev2.append(GLOBAL, "Sent")
    (line,) = (line for line in rev2.ok("UID FETCH 1 BODY") if b" FETCH " in line)
    assert b'("MESSAGE" "GLOBAL" NIL NIL NIL "7BIT" 27 (NIL {6}\r\n' in line
    assert b'("APPLICATION" "OCTET-STREAM" NIL NIL NIL "BASE64" 12)' in line
    (line,) = rev2.ok("UID FETCH 1 (BODY.PEEK[1.HEADER] BODY.PEEK[1.1])")
    assert line.endswith(b" BODY[1.1] {8}\r\nfar away)")


def test_imap4rev1_knows_no_such_structure(imap: RawImap) -> None:  # RFC 3501 9, media-message
    imap.append(GLOBAL)
    imap.ok("SELECT INBOX")
    (line,) = imap.ok("FETCH 1 BODY")
    assert b'("MESSAGE" "GLOBAL" NIL NIL NIL "7BIT" 27)' in line
    assert b'("MESSAGE" "GLOBAL" NIL NIL NIL "BASE64" 12)' in line


def test_sizes_are_of_63_bits(rev2: RawImap) -> None:  # D
    rev2.ok("SELECT INBOX")
    (line,) = rev2.ok("FETCH 1 BODY.PEEK[TEXT]<0.9223372036854775807>")
    assert line == b"* 1 FETCH (BODY[TEXT]<0> {7}\r\nHello\r\n)"
    (line,) = rev2.ok("FETCH 1 BODY.PEEK[TEXT]<4294967296.1>")
    assert line == b"* 1 FETCH (BODY[TEXT]<4294967296> {0}\r\n)"
    assert rev2.command("FETCH 1 BODY.PEEK[TEXT]<0.9223372036854775808>")[0].startswith(b"BAD")

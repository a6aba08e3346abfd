"""The IMAP engine over real sockets, command by command."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from tests.unit.postmaster.harness import ADA, PASSWORD, RawImap, Stack

Connect = Callable[[str | None], RawImap]

PLAIN = (
    b"From: a@b.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Mon, 2 Feb 2026 10:00:00 +0100\r\n\r\nHello world\r\n"
)
MULTIPART = (
    b"From: Ann <ann@b.example>\r\nTo: Team: x@y.example, z@y.example;\r\nSubject: parts\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\npreamble\r\n"
    b"--cut\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode("smörgåsbord".encode())
    + b"\r\n--cut\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n"
    b"--in\r\n\r\nplain\r\n--in\r\nContent-Type: text/html\r\n\r\n<p>\r\n--in--\r\n"
    b"--cut--\r\n"
)


@pytest.fixture
def inbox(imap: RawImap) -> RawImap:
    """A client with two messages in its selected inbox."""
    imap.append(PLAIN, flags=r"\Flagged")
    imap.append(MULTIPART, flags="work")
    imap.ok("SELECT INBOX")
    return imap


def fetch(client: RawImap, numbers: str, items: str) -> list[bytes]:
    return [line for line in client.ok(f"FETCH {numbers} {items}") if b" FETCH " in line]


def test_greeting_names_what_works(connect: Connect) -> None:
    client = connect(None)
    assert client.greeting.startswith(b"* OK [CAPABILITY IMAP4rev1 ")
    (line,) = client.ok("CAPABILITY")
    assert line.removeprefix(b"* ") in client.greeting


def test_authenticate_plain_in_one_go_and_in_two(connect: Connect) -> None:
    response = base64.b64encode(f"\0{ADA}\0{PASSWORD}".encode())
    connect(None).ok(b"AUTHENTICATE PLAIN " + response)
    client = connect(None)
    client.send(b"x AUTHENTICATE PLAIN\r\n")
    assert client.line() == b"+ "
    client.send(response + b"\r\n")
    assert client.line().startswith(b"x OK")


def test_nobody_logs_in_as_somebody_else(connect: Connect) -> None:
    response = base64.b64encode(f"bob@example.com\0{ADA}\0{PASSWORD}".encode())
    answer, _ = connect(None).command(b"AUTHENTICATE PLAIN " + response)
    assert answer.startswith(b"NO [AUTHORIZATIONFAILED]")


def test_failed_logins_end_the_connection(connect: Connect) -> None:
    client = connect(None)
    for _ in range(2):
        assert client.command("LOGIN ada@example.com no")[0].startswith(b"NO [AUTHENTICATIONFAILED")
    client.send(b"z LOGIN nobody@example.com no\r\n")
    assert client.line().startswith(b"* BYE")
    assert client.line() == b""


def test_commands_only_in_their_state(connect: Connect, person: str) -> None:
    assert connect(None).command("SELECT INBOX")[0].startswith(b"BAD")
    assert connect(person).command("FETCH 1 FLAGS")[0].startswith(b"BAD")


def test_select_tells_what_a_client_needs(inbox: RawImap) -> None:
    lines = inbox.ok("EXAMINE INBOX")
    assert b"* 2 EXISTS" in lines
    assert b"* 0 RECENT" in lines  # the SELECT before had them
    assert any(line.startswith(b"* OK [UIDNEXT 3]") for line in lines)
    assert any(line.startswith(b"* OK [UNSEEN 1]") for line in lines)
    assert any(line.startswith(b"* FLAGS (") and b"work" in line for line in lines)
    assert b"* OK [PERMANENTFLAGS ()] kept" in lines


def test_fetch_simple_items(inbox: RawImap) -> None:
    (line,) = fetch(inbox, "1", "FAST")
    assert b"FLAGS (\\Flagged \\Recent)" in line
    assert b"RFC822.SIZE %d" % len(PLAIN) in line
    (envelope,) = fetch(inbox, "1", "ENVELOPE")
    assert b'"Mon, 2 Feb 2026 10:00:00 +0100" "=?utf-8?q?Gr=C3=BC=C3=9Fe?="' in envelope
    assert b'((NIL NIL "a" "b.example"))' in envelope
    (group,) = fetch(inbox, "2", "ENVELOPE")
    assert b'((NIL NIL "Team" NIL)(NIL NIL "x" "y.example")(NIL NIL "z" "y.example")' in group
    assert b"(NIL NIL NIL NIL))" in group


def test_fetch_sections(inbox: RawImap) -> None:
    def section(name: str, number: int = 2) -> bytes:
        (line,) = fetch(inbox, str(number), f"BODY.PEEK[{name}]")
        _, _, rest = line.partition(b"}\r\n")
        return rest.removesuffix(b")")

    assert section("") == MULTIPART
    assert section("1") == base64.b64encode("smörgåsbord".encode())
    assert section("1.MIME").startswith(b"Content-Type: text/plain")
    assert section("2.HEADER").startswith(b"Subject: inner\r\n")
    assert section("2.1") == b"plain"
    assert section("2.2") == b"<p>"
    assert section("2.2.MIME") == b"Content-Type: text/html\r\n\r\n"
    assert section("HEADER.FIELDS (SUBJECT to)") == (
        b"To: Team: x@y.example, z@y.example;\r\nSubject: parts\r\n\r\n"
    )
    assert b"Subject" not in section("HEADER.FIELDS.NOT (Subject)")
    assert section("TEXT", 1) == b"Hello world\r\n"
    assert section("1", 1) == b"Hello world\r\n"
    (partial,) = fetch(inbox, "1", "BODY.PEEK[TEXT]<6.5>")
    assert partial == b"* 1 FETCH (BODY[TEXT]<6> {5}\r\nworld)"
    (missing,) = fetch(inbox, "2", "BODY.PEEK[7]")
    assert missing == b"* 2 FETCH (BODY[7] NIL)"


def test_items_come_in_order_around_a_large_part(inbox: RawImap) -> None:
    raw = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 8000
    assert inbox.append(raw).startswith(b"OK")
    (line,) = fetch(inbox, "3", "(UID RFC822.SIZE BODY.PEEK[] FLAGS UID BODY.PEEK[HEADER])")
    start = b"* 3 FETCH (UID 3 RFC822.SIZE %d BODY[] {%d}\r\n" % (len(raw), len(raw))
    end = b" FLAGS (\\Recent) BODY[HEADER] {18}\r\nSubject: large\r\n\r\n)"
    assert line == start + raw + end


def test_body_structure(inbox: RawImap) -> None:
    (line,) = fetch(inbox, "2", "BODYSTRUCTURE")
    assert b'"TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "BASE64" 20 1' in line
    assert b'"MESSAGE" "RFC822" NIL NIL NIL "7BIT"' in line
    assert b'"ALTERNATIVE" ("BOUNDARY" "in")' in line
    assert line.count(b"(") == line.count(b")")


def test_reading_marks_seen_and_says_so(inbox: RawImap) -> None:
    (line,) = fetch(inbox, "1", "RFC822.TEXT")
    assert b"Hello world" in line
    assert b"\\Seen" in line
    assert b"\\Seen" not in fetch(inbox, "2", "(FLAGS BODY.PEEK[])")[0]
    inbox.ok("EXAMINE INBOX")
    fetch(inbox, "2", "BODY[]")
    assert b"\\Seen" not in fetch(inbox, "2", "FLAGS")[0]


def test_store(inbox: RawImap) -> None:
    (line,) = inbox.ok(r"STORE 1 FLAGS (\seen)")
    assert line == b"* 1 FETCH (UID 1 FLAGS (\\Recent \\Seen))"
    lines = inbox.ok("UID STORE 1:* +FLAGS (later)")
    assert lines[0].startswith(b"* FLAGS (")
    assert len(lines) == 3
    assert inbox.ok("STORE 1:2 -FLAGS.SILENT (later)") == []
    assert b"later" not in fetch(inbox, "1", "FLAGS")[0]
    inbox.ok("EXAMINE INBOX")
    assert inbox.command("STORE 1 FLAGS (a)")[0].startswith(b"NO")


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ("ALL", b"1 2"),
        ("FLAGGED", b"1"),
        ("UNFLAGGED UNSEEN", b"2"),
        ("KEYWORD work", b"2"),
        ("SUBJECT parts", b"2"),
        ("CHARSET UTF-8 SUBJECT {6+}\r\nGRÜß", b"1"),
        ("BODY {13+}\r\nsmörgåsbord", b"2"),
        ("TEXT hello", b"1"),
        ("HEADER mime-version {0+}\r\n", b"2"),
        ("FROM ann", b"2"),
        ("NOT FROM ann", b"1"),
        ("FROM ann SUBJECT parts", b"2"),
        ("FROM ann TEXT hello", b""),
        ("OR (FROM ann) NOT FROM ann", b"1 2"),
        ("OR FROM ann FLAGGED", b"1 2"),
        ("(FROM ann) FLAGGED", b""),
        ("SENTON 2-Feb-2026", b"1"),
        ("SENTSINCE 3-Feb-2026", b""),
        ("SINCE 1-Jan-2020", b"1 2"),
        ("BEFORE 1-Jan-2020", b""),
        ("LARGER 200", b"2"),
        ("UID 2:*", b"2"),
        ("1", b"1"),
        ("NEW", b"1 2"),
        ("OLD", b""),
    ],
)
def test_search(inbox: RawImap, keys: str, numbers: bytes) -> None:
    (line,) = inbox.ok(f"SEARCH {keys}")
    assert line == (b"* SEARCH " + numbers).rstrip()


def test_search_in_an_unknown_charset(inbox: RawImap) -> None:
    answer, _ = inbox.command("SEARCH CHARSET KOI8-R ALL")
    assert answer.startswith(b"NO [BADCHARSET (US-ASCII UTF-8)]")


def test_copy_move_expunge(inbox: RawImap) -> None:
    assert inbox.command("COPY 1 Nowhere")[0].startswith(b"NO [TRYCREATE]")
    answer, _ = inbox.command("COPY 1:2 Archive")
    assert answer.startswith(b"OK [COPYUID ")
    assert answer.endswith(b" 1:2 1:2] copied")
    answer, lines = inbox.command("UID MOVE 1 Trash")
    assert answer == b"OK moved"
    assert lines[0].startswith(b"* OK [COPYUID ")
    assert lines[1] == b"* 1 EXPUNGE"
    inbox.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    assert inbox.ok("UID EXPUNGE 9") == []
    assert inbox.ok("EXPUNGE") == [b"* 1 EXPUNGE"]
    inbox.ok("SELECT Archive")
    assert b"BODY[] {%d}" % len(PLAIN) in fetch(inbox, "1", "BODY[]")[0]  # content was shared
    assert b"\\Flagged" in fetch(inbox, "1", "FLAGS")[0]


def test_close_removes_without_a_word_and_unselect_does_not(inbox: RawImap) -> None:
    inbox.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    assert inbox.ok("UNSELECT") == []
    assert b"* 2 EXISTS" in inbox.ok("SELECT INBOX")
    assert inbox.ok("CLOSE") == []
    assert b"* 1 EXISTS" in inbox.ok("SELECT INBOX")


def test_folders(imap: RawImap) -> None:
    imap.ok("CREATE work/2026/&ZeVnLIqe-")
    names = imap.ok('LIST "" "work*"')
    assert names == [
        b'* LIST (\\HasChildren) "/" "work"',
        b'* LIST (\\HasChildren) "/" "work/2026"',
        b'* LIST (\\HasNoChildren) "/" "work/2026/&ZeVnLIqe-"',
    ]
    assert imap.command("CREATE work")[0].startswith(b"NO [ALREADYEXISTS]")
    imap.ok("RENAME work play")
    assert len(imap.ok('LIST "" play/%')) == 1
    imap.ok("DELETE play")
    assert b'* LIST (\\HasChildren \\Noselect) "/" "play"' in imap.ok('LIST "" "%"')
    assert imap.command("DELETE inbox")[0].startswith(b"NO")
    assert imap.command("SELECT play")[0].startswith(b"NO [NONEXISTENT]")
    imap.ok("UNSUBSCRIBE Junk")
    assert not any(b"Junk" in line for line in imap.ok('LSUB "" "*"'))
    assert imap.ok('LIST "" ""') == [b'* LIST (\\Noselect) "/" ""']
    assert any(b"\\Sent" in line for line in imap.ok('LIST "" "*"'))


def test_uidvalidity_differs_when_a_name_is_used_again(imap: RawImap) -> None:
    imap.ok("CREATE again")
    before = imap.ok("STATUS again (UIDVALIDITY)")
    imap.ok("DELETE again")
    imap.ok("CREATE again")
    assert imap.ok("STATUS again (UIDVALIDITY)") != before


def test_rename_of_inbox_moves_its_messages(inbox: RawImap) -> None:
    inbox.ok("RENAME INBOX old")
    assert inbox.ok("STATUS INBOX (MESSAGES)") == [b'* STATUS "INBOX" (MESSAGES 0)']
    assert inbox.ok("STATUS old (MESSAGES UNSEEN)") == [b'* STATUS "old" (MESSAGES 2 UNSEEN 2)']


def test_append_keeps_date_and_bytes(imap: RawImap) -> None:
    message = b"no header at all, bare\nlines and a \xff"
    head = b'APPEND Sent (\\Seen) " 7-Jul-2024 02:44:25 -0730" {%d+}\r\n' % len(message)
    assert imap.command(head + message)[0].startswith(b"OK [APPENDUID ")
    imap.ok("SELECT Sent")
    (line,) = fetch(imap, "1", "(INTERNALDATE BODY[])")
    assert b'"07-Jul-2024 02:44:25 -0730"' in line
    assert line.endswith(message + b")")


def test_append_with_a_synchronising_literal(imap: RawImap) -> None:
    imap.send(b"x APPEND INBOX {5}\r\n")
    assert imap.line().startswith(b"+ ")
    imap.send(b"a: b\n\r\n")
    assert imap.line().startswith(b"x OK [APPENDUID")


def test_idle_hears_of_mail_as_it_comes(shared_stack: Stack, imap: RawImap, person: str) -> None:
    imap.ok("SELECT INBOX")
    imap.send(b"i IDLE\r\n")
    assert imap.line().startswith(b"+ ")
    shared_stack.deliver(PLAIN, person)
    assert imap.line() == b"* 1 EXISTS"
    assert imap.line() == b"* 1 RECENT"
    imap.send(b"DONE\r\n")
    assert imap.line().startswith(b"i OK")


def test_other_sessions_learn_of_expunges_only_when_it_is_safe(
    inbox: RawImap, connect: Connect, person: str
) -> None:
    other = connect(person)
    other.ok("SELECT INBOX")
    inbox.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    inbox.ok("EXPUNGE")
    # FETCH, STORE and SEARCH by number must not renumber (RFC 3501 7.4.1).
    assert fetch(other, "2", "(UID)") == [b"* 2 FETCH (UID 2)"]
    assert other.command("FETCH 1 (UID)")[0].startswith(b"OK [EXPUNGEISSUED]")
    assert other.command("COPY 1 Sent")[0].startswith(b"NO [EXPUNGEISSUED]")
    assert other.ok("SEARCH ALL") == [b"* SEARCH 2"]
    assert other.ok("NOOP") == [b"* 1 EXPUNGE"]
    assert fetch(other, "1", "(UID)") == [b"* 1 FETCH (UID 2)"]


def test_other_sessions_learn_of_flags(inbox: RawImap, connect: Connect, person: str) -> None:
    other = connect(person)
    other.ok("SELECT INBOX")
    inbox.ok(r"STORE 2 +FLAGS.SILENT (\Answered)")
    assert other.ok("NOOP") == [b"* 2 FETCH (UID 2 FLAGS (\\Answered work))"]
    assert inbox.ok("NOOP") == []


def test_a_folder_deleted_under_a_session(inbox: RawImap, connect: Connect, person: str) -> None:
    inbox.ok("COPY 1 Archive")
    other = connect(person)
    other.ok("SELECT Archive")
    inbox.ok("DELETE Archive")
    assert other.ok("NOOP") == [b"* 1 EXPUNGE"]
    other.ok("SELECT INBOX")


def test_small_commands(imap: RawImap) -> None:
    assert imap.ok("NAMESPACE") == [b'* NAMESPACE (("" "/")) NIL NIL']
    assert imap.ok('ID ("name" "test" "version" NIL)')[0].startswith(b'* ID ("name" "Mailstead"')
    assert imap.ok("ENABLE NOSUCH") == [b"* ENABLED"]
    assert imap.ok("LOGOUT")[0].startswith(b"* BYE")
    assert imap.line() == b""

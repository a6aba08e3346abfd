"""Clients that mean no good: they get BAD or BYE, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.postmaster.harness import RawImap

Connect = Callable[[str | None], RawImap]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"\0\0\0",
        b"tag",
        b"tag ",
        b"+ NOOP",
        b"a \xff\xfe",
        b"a UID",
        b"a UID NOOP",
        b"a NOSUCHCOMMAND x",
        b"a LOGIN",
        b'a LOGIN "x',
        b"a LOGIN a b c",
        b'a LOGIN "\\x" b',
        b"a LOGIN {3+}\r\n\xff\xff\xff b",
        b"a AUTHENTICATE PLAIN !!!!",
        b"a AUTHENTICATE PLAIN AAAA",
        b"a AUTHENTICATE PLAIN =",
        b"a ID (" + b'"a" "b" ' * 100 + b'"a" "b")',
    ],
)
def test_bad_before_login(connect: Connect, line: bytes) -> None:
    client = connect(None)
    client.send(line + b"\r\nok NOOP\r\n")
    assert client.line().split(b" ")[1] == b"BAD"
    assert client.line().startswith(b"ok OK")


@pytest.mark.parametrize(
    "line",
    [
        b"FETCH 0 FLAGS",
        b"FETCH 1:2:3 FLAGS",
        b"FETCH 99999999999 FLAGS",
        b"FETCH 1 FLAGS",  # the folder is empty
        b"UID FETCH 1",
        b"UID FETCH 1 ()",
        b"UID FETCH 1 (FLAGS",
        b"UID FETCH 1 BODY[",
        b"UID FETCH 1 BODY[0]",
        b"UID FETCH 1 BODY[MIME]",
        b"UID FETCH 1 BODY[HEADER.FIELDS ()]",
        b"UID FETCH 1 BODY[]<1.0>",
        b"UID FETCH 1 BODY[]<99999999999999999999.1>",
        b"UID FETCH 1 (" + b"FLAGS " * 300 + b"FLAGS)",
        b"UID FETCH " + b"1," * 25_000 + b"1 FLAGS",
        b"UID STORE 1 FLAGS (\\Recent)",
        b"UID STORE 1 FLAGS (a b c",
        b"UID STORE 1 BLAGS a",
        b"UID STORE 1 FLAGS " + b"x" * 500,
        b"SEARCH",
        b"SEARCH NOSUCHKEY",
        b"SEARCH SINCE 31-Feb-2026",
        b"SEARCH SINCE 1-Foo-2026",
        b"SEARCH " + b"NOT " * 200 + b"ALL",
        b"SEARCH " + b"(" * 200 + b"ALL" + b")" * 200,
        b"SEARCH " + b"ALL " * 1000 + b"ALL",
        b"SEARCH SUBJECT {2+}\r\n\xff\xff",
        b"STATUS INBOX ()",
        b"STATUS INBOX (NOSUCH)",
        b'APPEND INBOX "32-Jan-2026 00:00:00 +0000" {1+}\r\nx',
        b'APPEND INBOX "01-Jan-2026 00:00:00 +9999" {1+}\r\nx',
        b"APPEND INBOX (\\Bogus) {1+}\r\nx",
        b"CAPABILITY x",
        b"CLOSE x",
    ],
)
def test_bad_after_login(imap: RawImap, line: bytes) -> None:
    imap.ok("SELECT Archive")
    answer, _ = imap.command(line)
    assert answer.startswith(b"BAD"), answer
    imap.ok("NOOP")


@pytest.mark.parametrize("command", ["CREATE", "SELECT", "DELETE", "SUBSCRIBE", "GETQUOTAROOT"])
def test_a_name_that_no_folder_can_have_is_refused(imap: RawImap, command: str) -> None:
    for name in ("&broken", '"&AAA"', "&Jjo", '"' + "x" * 1001 + '"'):
        assert imap.command(f"{command} {name}")[0].startswith(b"NO [CANNOT]")
    assert imap.ok('LIST "" "&AAA*"') == []


def test_a_large_literal_before_login_is_refused(connect: Connect) -> None:
    client = connect(None)
    answer, _ = client.command(b"LOGIN {100000}")
    assert answer.startswith(b"NO [TOOBIG]")
    client.send(b"a LOGIN {4294967296+}\r\n")
    assert client.line().startswith(b"* BYE")
    assert client.line() == b""


def test_a_message_beyond_the_limit_is_refused(imap: RawImap) -> None:
    answer, _ = imap.command(b"APPEND INBOX {999999999}")
    assert answer.startswith(b"NO [TOOBIG]")
    assert imap.append(b"x" * 257 * 1024).startswith(b"NO [TOOBIG]")
    assert imap.append(b"x" * 3 * 1024 * 1024).startswith(b"NO [TOOBIG]")
    imap.ok("NOOP")  # and the session goes on


@pytest.mark.parametrize("data", [b"a" * 80_000, b"a LOGIN " + b"(" * 80_000])
def test_an_endless_line_ends_the_connection(connect: Connect, data: bytes) -> None:
    client = connect(None)
    client.send(data)
    assert client.line().startswith(b"* BYE")


def test_too_many_faults_end_the_connection(connect: Connect) -> None:
    client = connect(None)
    client.send(b"nonsense\r\n" * 30)
    while (line := client.line()).startswith(b"* BAD") or line.startswith(b"nonsense BAD"):
        pass
    assert line.startswith(b"* BYE")


def test_a_client_that_hangs_up_anywhere(connect: Connect) -> None:
    for data in (
        b"",
        b"a",
        b"a LOGIN {5}\r\n",
        b"a APPEND x {5+}\r\nab",
        b"a AUTHENTICATE PLAIN\r\n",
    ):
        client = connect(None)
        client.send(data)
        client.close()
        connect(None).close()


@pytest.mark.parametrize(
    "message",
    [
        b"\0" * 100,
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n" * 3000,
        b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
            for n in range(2000)
        ),
        b"Content-Type: message/rfc822\r\n\r\n" * 2000,
        b"To: " + b"a@b, " * 5000 + b"\r\n\r\n",
        b"From: " + b"(" * 10_000 + b"\r\n\r\n",
        b'Content-Type: text/plain; charset="nonsense"; ' + b"=" * 1000 + b"\r\n\r\nx",
        b"Subject: =?utf-8?b?!!!?= =?x?q?=zz?=\r\nDate: never\r\n\r\n",
        b"x" * 200_000,
        b"Subject: \x80\xff\r\n\tfold\r\n\r\n",
    ],
)
def test_hostile_messages_can_be_listed_and_searched(imap: RawImap, message: bytes) -> None:
    imap.ok("SELECT Archive")
    answer = imap.append(message, "Archive")
    assert answer.startswith(b"OK"), answer
    (line,) = (line for line in imap.ok("FETCH * (UID ENVELOPE BODYSTRUCTURE BODY.PEEK[])"))
    if b"\0" not in message:
        assert message in line
    assert imap.ok("SEARCH TEXT nowhere SENTSINCE 1-Jan-2026") == [b"* SEARCH"]

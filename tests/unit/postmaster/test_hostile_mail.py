"""Mail that means no good, all the way: LMTP, sealed and open vaults, IMAP, POP3.

It comes out as it went in, no session ends for it, others are served, and memory does not grow.
"""

from __future__ import annotations

import gc
import poplib
import socket
import ssl
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from firstboot.base.waiting import wait_for
from postmaster.lmtp import MAX_RECIPIENTS
from tests.unit.postmaster.harness import ADA, BOB, DEADLINE, PASSWORD, Files, RawImap, Stack

MEBIBYTE = 1 << 20
RECIPIENTS = 5000
PARTS = 2000


def lines(*parts: bytes) -> bytes:
    return b"\r\n".join(parts) + b"\r\n"


HOSTILE: Mapping[str, bytes] = {
    "a megabyte of body in one line": lines(b"Subject: x", b"", b"x" * MEBIBYTE),
    "a megabyte of header in one line": lines(b"Subject: " + b"x" * MEBIBYTE, b"", b"y"),
    "a megabyte of name": lines(b"X" * MEBIBYTE + b": y", b"", b"y"),
    "a megabyte of folds": lines(b"Subject: x", b"\r\n".join([b" y"] * (MEBIBYTE // 4)), b"", b"z"),
    "a megabyte of one address": lines(
        b"To: " + b"(" * MEBIBYTE, b"From: <" + b"@" * 9999, b"", b""
    ),
    "a megabyte of boundary": lines(
        b"Content-Type: multipart/mixed; boundary=" + b"b" * MEBIBYTE, b"", b"--" + b"b" * MEBIBYTE
    ),
    "5,000 recipients": lines(
        b"To: " + b",\r\n ".join(b"a%d@example.org" % n for n in range(RECIPIENTS)),
        *(b"Cc: c%d@example.org" % n for n in range(RECIPIENTS)),
        b"",
        b"",
    ),
    "2,000 nested parts": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(PARTS)
    ),
    "2,000 nested messages": b"Content-Type: message/rfc822\r\n\r\n" * PARTS,
    "100,000 parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\n\r\n" * 100_000,
}


@pytest.fixture
def stack(files: Files) -> Iterator[Stack]:
    """Both services, which take messages of a usual size."""
    running = Stack(files, message_size_limit=4 * MEBIBYTE)
    yield running
    running.stop()


@contextmanager
def session(stack: Stack, person: str) -> Iterator[RawImap]:
    client = RawImap(stack, person)
    try:
        yield client
    finally:
        client.close()


def look_at(client: RawImap, message: bytes) -> None:
    """Do what mail programs do with the one message of an inbox."""
    assert b"* 1 EXISTS" in client.ok("SELECT INBOX")
    (found,) = client.ok("FETCH 1 (UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER])")
    assert found.startswith(b"* 1 FETCH (")
    assert len(found) < 8 * len(message) + 100_000
    (found,) = client.ok("FETCH 1 BODY.PEEK[]")
    assert message in found
    client.ok("FETCH 1 (BODY.PEEK[1] BODY.PEEK[1.1.1.1.MIME] BODY.PEEK[HEADER.FIELDS (To Cc)])")
    assert client.ok("SEARCH TEXT nowhere FROM nobody") == [b"* SEARCH"]
    client.ok("NOOP")


def popped(stack: Stack) -> tuple[list[bytes], list[bytes]]:
    """Ada's message by RETR, and its header by TOP."""
    context = ssl.create_default_context(cafile=str(stack.files.certificate))
    client = poplib.POP3_SSL(
        "localhost", stack.ports.mailstore.pop3, context=context, timeout=DEADLINE
    )
    try:
        client.user(ADA)
        client.pass_(PASSWORD)
        return client.retr(1)[1], client.top(1, 0)[1]
    finally:
        client.close()


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_kept_and_shown(stack: Stack, name: str) -> None:
    """By a vault that is open, and by one that it was sealed for."""
    message = HOSTILE[name]
    with session(stack, ADA) as client:
        assert stack.deliver(message, ADA, BOB) == {}
        look_at(client, message)
    with session(stack, BOB) as other:
        look_at(other, message)


@pytest.mark.parametrize("name", ["a megabyte of body in one line", "2,000 nested parts"])
def test_pop3_sends_it(stack: Stack, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poplib, "_MAXLINE", 2 * MEBIBYTE)
    message = HOSTILE[name]
    assert stack.deliver(message) == {}
    whole, top = popped(stack)
    body = lines(*whole)
    assert message in body
    assert body.startswith(lines(*top)[:40])


def test_memory_does_not_grow_with_it(stack: Stack) -> None:
    """The same again leaves nothing behind: neither a delivery, nor a look at it."""

    messages = [HOSTILE[name] for name in ("2,000 nested parts", "a megabyte of body in one line")]

    def once(number: int) -> None:
        for message in messages:
            assert stack.deliver(b"X-Number: %d\r\n" % number + message) == {}
        with session(stack, ADA) as client:
            client.ok("SELECT INBOX")
            client.ok("FETCH 1:* (ENVELOPE BODYSTRUCTURE)")
            client.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            client.ok("EXPUNGE")

    def left() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    once(0)
    tracemalloc.start()
    try:
        for number in range(1, 5):
            once(number)
        # A session's end is noticed, and its vault put away, only behind the client's back.
        bound = min(map(len, messages))
        wait_for(lambda: left() < bound, what="giving memory back", timeout=DEADLINE)
    finally:
        tracemalloc.stop()


def test_a_recipient_too_many_waits_and_the_others_get_it(stack: Stack) -> None:
    """RFC 5321 4.5.3.1.10: 452 for each of them, and the transaction goes on."""
    with socket.create_connection(("127.0.0.1", stack.ports.mailstore.lmtp), DEADLINE) as client:
        answers = client.makefile("rb")
        assert answers.readline().startswith(b"220 ")
        client.sendall(b"LHLO test\r\nMAIL FROM:<a@example.org>\r\n")
        while not (line := answers.readline()).startswith(b"250 2.1.0"):
            assert line.startswith(b"250")
        kept = 0
        client.sendall(b"".join(b"RCPT TO:<ada+%d@example.com>\r\n" % n for n in range(RECIPIENTS)))
        for _ in range(RECIPIENTS):
            line = answers.readline()
            kept += line.startswith(b"250 ")
            assert line.startswith((b"250 ", b"452 "))
        assert kept == MAX_RECIPIENTS
        client.sendall(b"DATA\r\n")
        assert answers.readline().startswith(b"354 ")
        client.sendall(b"Subject: to many\r\n\r\nx\r\n.\r\n")
        assert all(answers.readline().startswith(b"250 ") for _ in range(kept))
        client.sendall(b"NOOP\r\n")
        assert answers.readline().startswith(b"250 ")
    with session(stack, ADA) as imap:
        assert b"* 1 EXISTS" in imap.ok("SELECT INBOX")


@pytest.mark.parametrize("command", [b"SEARCH SUBJECT ", b"FETCH 1 ", b"CREATE ", b""])
def test_a_command_of_a_megabyte_ends_nobody_elses_session(stack: Stack, command: bytes) -> None:
    """It is longer than a command may be; who sends it is told so, or told to go."""
    assert stack.deliver(b"Subject: x\r\n\r\n") == {}
    with session(stack, ADA) as client, session(stack, ADA) as other:
        client.ok("SELECT INBOX")
        try:
            client.send(b"a " + command + b"x" * MEBIBYTE + b"\r\n")
            heard = client.line()
        except OSError:
            heard = b""  # it hung up while we were still at it
        assert not heard or heard.startswith((b"* BYE", b"a BAD"))
        assert b"* 1 EXISTS" in other.ok("SELECT INBOX")

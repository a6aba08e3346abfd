"""LMTP: an answer for each recipient, exact framing, and no mail lost for a broken vault."""

from __future__ import annotations

import asyncio
import smtplib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmaster.crypto import person_id
from postmaster.lmtp import MAX_ERRORS
from postmaster.lmtp_reader import LmtpReader, TooLongError
from tests.unit.postmaster.harness import ADA, BOB, DEADLINE, Stack, bounded

MESSAGE = b"Subject: hi\r\n\r\nbody\r\n"


def fed(wire: bytes, piece: int) -> asyncio.StreamReader:
    """Return a stream that gives `wire` in pieces of so many bytes, then ends."""

    class Slow(asyncio.StreamReader):
        async def read(self, n: int = -1) -> bytes:
            return await super().read(min(n, piece))

    reader = Slow()
    reader.feed_data(wire)
    reader.feed_eof()
    return reader


def read(wire: bytes, limit: int = 10_000, piece: int = 7) -> tuple[bytes | None, bytes]:
    """Feed `wire` to the reader; return the message and what is left over, a last line."""

    async def run() -> tuple[bytes | None, bytes]:
        reader = LmtpReader(fed(wire + b"\n", piece), 1000)
        message = await reader.message(limit)
        return message, await reader.line() or b""

    return asyncio.run(run())


def stuffed(message: bytes) -> bytes:
    """Return a message of whole lines as a client sends it."""
    lines = message.split(b"\r\n")[:-1]
    return b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines) + b".\r\n"


@bounded
@given(st.lists(st.text("ab.\r\n\xff", max_size=200)), st.integers(1, 9))
def test_any_message_arrives_as_sent(lines: list[str], piece: int) -> None:
    message = "".join(line.replace("\r\n", "") + "\r\n" for line in lines).encode("latin-1")
    # A CR at the end of a line joins its CRLF in no other way than on the wire.
    assert read(stuffed(message) + b"QUIT", piece=piece) == (message, b"QUIT")


@pytest.mark.parametrize("fake_end", [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r"])
def test_no_end_can_be_smuggled(fake_end: bytes) -> None:
    message, rest = read(b"a" + fake_end + b"MAIL FROM:<evil>\r\n.\r\n")
    assert message is not None
    assert message.endswith(b"MAIL FROM:<evil>\r\n")
    assert rest == b""


@pytest.mark.parametrize("size", [101, 500, 300_000])
def test_a_message_too_large_is_read_and_refused(size: int) -> None:
    assert read(b"x" * size + b"\r\n.\r\nnext", limit=100, piece=1000) == (None, b"next")


def test_dots_that_were_added_do_not_count() -> None:
    message = b".\r\n" * 30
    assert read(stuffed(message), limit=len(message)) == (message, b"")
    assert read(stuffed(message), limit=len(message) - 1) == (None, b"")


@pytest.mark.parametrize(("size", "refused"), [(98, False), (100, True), (5000, True)])
def test_a_command_line_has_an_end(size: int, refused: bool) -> None:
    async def run() -> bytes | None:
        return await LmtpReader(fed(b"x" * size + b"\r\n", 64), 100).line()

    if not refused:
        assert asyncio.run(run()) == b"x" * size
        return
    with pytest.raises(TooLongError):
        asyncio.run(run())


def test_a_client_that_leaves_delivers_nothing() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        read(b"Subject: half\r\n")


def test_each_recipient_has_an_answer(stack: Stack) -> None:
    (stack.files.spool / person_id(BOB)).write_bytes(b"no folder")
    refused = stack.deliver(MESSAGE, ADA, "nobody@example.com", BOB)
    assert {address: code for address, (code, _) in refused.items()} == {
        "nobody@example.com": 550,
        BOB: 451,
    }
    with stack.imap() as client:
        assert client.select()[1] == [b"1"]


def test_size_is_announced_and_kept(lmtp_port: int) -> None:
    with smtplib.LMTP("127.0.0.1", lmtp_port) as lmtp:
        lmtp.ehlo()  # says LHLO
        assert int(lmtp.esmtp_features["size"]) == 256 * 1024
        for feature in ("pipelining", "8bitmime", "smtputf8", "enhancedstatuscodes"):
            assert lmtp.has_extn(feature)
        assert lmtp.docmd("MAIL", "FROM:<a@b.example> SIZE=999999999")[0] == 552
        lmtp.docmd("MAIL", "FROM:<a@b.example> BODY=8BITMIME SMTPUTF8")
        lmtp.docmd("RCPT", f"TO:<{ADA}>")
        lmtp.docmd("DATA")
        lmtp.send(b"x" * 300 * 1024 + b"\r\n.\r\n")
        assert lmtp.getreply()[0] == 552


def test_one_person_gets_one_copy(stack: Stack) -> None:
    assert stack.deliver(MESSAGE, ADA, "countess@example.com") == {}
    with stack.imap() as client:
        assert client.select()[1] == [b"1"]


def test_no_directory_means_later_not_never(stack: Stack) -> None:
    with smtplib.LMTP("127.0.0.1", stack.ports.mailstore.lmtp) as lmtp:
        lmtp.docmd("LHLO test")
        lmtp.docmd("MAIL", "FROM:<>")
        stack.stop_directory()
        assert lmtp.docmd("RCPT", f"TO:<{ADA}>")[0] == 451


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"EHLO x", b"500"),
        (b"RCPT TO:<a@b>", b"503"),
        (b"MAIL FROM:<a@b>", b"503"),
        (b"DATA", b"503"),
        (b"LHLO", b"501"),
        (b"\xff\xfe", b"500"),
        (b"", b"500"),
        (b"x" * 5000, b"500"),
        (b"x" * 200_000, b"500"),
        (b"NOOP", b"250"),
        (b"RSET", b"250"),
        (b"QUIT", b"221"),
    ],
)
def test_odd_commands(lmtp_port: int, line: bytes, code: bytes) -> None:
    with socket.create_connection(("127.0.0.1", lmtp_port), DEADLINE) as client:
        lines = client.makefile("rb")
        assert lines.readline().startswith(b"220 ")
        client.sendall(line + b"\r\n")
        assert lines.readline().startswith(code)


def test_a_client_that_only_errs_is_sent_away(lmtp_port: int) -> None:
    with socket.create_connection(("127.0.0.1", lmtp_port), DEADLINE) as client:
        lines = client.makefile("rb")
        client.sendall(b"nonsense\r\n" * MAX_ERRORS)
        assert lines.readlines()[-1].startswith(b"421 ")

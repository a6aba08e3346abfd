"""COMPRESS=DEFLATE: a compressed session is like any other, also when its client means no good."""

from __future__ import annotations

import asyncio
import io
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmaster.imap.deflate import STEP, Deflater, InflatingReader
from postmaster.imap.outcome import GoodbyeError
from tests.unit.postmaster.harness import RawImap, Stack, bounded

Connect = Callable[[str | None], RawImap]

LIMIT = 1000  # bytes of a line
MEBIBYTE = 1024 * 1024


class _Inflated(io.RawIOBase):
    """What comes from a server that compresses."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._inflate.decompress(self._inflate.unconsumed_tail, len(buffer))
        while not data:
            compressed = self._file.read1(STEP)
            if not compressed:
                return 0
            data = self._inflate.decompress(compressed, len(buffer))
        buffer[: len(data)] = data
        return len(data)


class CompressedImap(RawImap):
    """A client whose connection is compressed."""

    def __init__(self, stack: Stack, person: str) -> None:
        self._deflate: zlib._Compress | None = None
        super().__init__(stack, person)
        self.ok("COMPRESS DEFLATE")
        self._plain = self._lines
        self._lines = io.BufferedReader(_Inflated(self._plain))
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)

    def send(self, data: bytes) -> None:
        if self._deflate is not None:
            data = self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        super().send(data)

    def send_as_it_is(self, data: bytes) -> None:
        """Send bytes that are not compressed."""
        super().send(data)

    def close(self) -> None:
        self._plain.close()
        super().close()


@pytest.fixture
def compressed(shared_stack: Stack, person: str) -> CompressedImap:
    return CompressedImap(shared_stack, person)


def test_a_compressed_session(compressed: CompressedImap, connect: Connect, person: str) -> None:
    message = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 15_000
    assert compressed.append(message).startswith(b"OK")
    compressed.ok("SELECT INBOX")
    for _ in range(3):
        (line,) = compressed.ok("FETCH 1 BODY.PEEK[]")
        assert message in line
    assert compressed.command("COMPRESS DEFLATE")[0].startswith(b"NO [COMPRESSIONACTIVE]")
    compressed.send(b"i IDLE\r\n")
    assert compressed.line() == b"+ idling"
    connect(person).append(b"Subject: y\r\n\r\n")
    assert compressed.line() == b"* 2 EXISTS"
    compressed.send(b"DONE\r\n")
    while not compressed.line().startswith(b"i OK"):
        pass
    compressed.close()


def test_nothing_can_fail_between_compressing_and_saying_so(
    imap: RawImap, connect: Connect, person: str
) -> None:
    imap.ok("SELECT INBOX")
    connect(person).append(b"Subject: x\r\n\r\n")
    assert imap.command("COMPRESS DEFLATE") == (b"OK compressed from now on", [])


def test_what_cannot_be_compressed(imap: RawImap, connect: Connect) -> None:
    for wrong in ("COMPRESS", "COMPRESS LZ4", "COMPRESS DEFLATE now"):
        assert imap.command(wrong)[0].startswith(b"BAD")
    imap.ok("NOOP")  # not compressed
    assert connect(None).command("COMPRESS DEFLATE")[0].startswith(b"BAD")


def test_a_line_that_inflates_without_end(compressed: CompressedImap) -> None:
    # In one piece of 10 KB, since the server hangs up without having read everything.
    compressed.send(b"a" * (10 * MEBIBYTE))
    assert compressed.line().startswith(b"* BYE the line is too long")
    compressed.close()


def test_literals_that_inflate(compressed: CompressedImap) -> None:
    assert compressed.append(b"x" * 20 * MEBIBYTE).startswith(b"NO [TOOBIG]")
    compressed.ok("NOOP")
    compressed.close()


def test_what_is_not_compressed(compressed: CompressedImap) -> None:
    compressed.send_as_it_is(b"\xff\xff\xff a NOOP\r\n")
    assert compressed.line().startswith(b"* BYE what comes is not compressed")
    compressed.close()


# The reader


def reader_of(data: bytes) -> InflatingReader:
    source = asyncio.StreamReader(limit=STEP)
    source.feed_data(data)
    source.feed_eof()
    return InflatingReader(source, LIMIT)


@given(
    st.lists(st.binary(max_size=300) | st.integers(1, 3 * STEP).map(lambda n: b"\n" * n)),
    st.integers(1, 5000),
)
@bounded
def test_what_is_packed_comes_out(pieces: list[bytes], size: int) -> None:
    deflater = Deflater()
    packed = b"".join(deflater.pack(piece) for piece in pieces)

    async def read() -> bytes:
        reader = reader_of(packed)
        found = bytearray()
        while data := await reader.read(size):
            assert len(data) <= size
            found += data
        return bytes(found)

    assert asyncio.run(read()) == b"".join(pieces)


def test_no_more_than_a_step_lies_in_memory() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = bomb.compress(bytes(50 * MEBIBYTE)) + bomb.flush()

    async def read() -> None:
        reader = reader_of(packed)
        assert await reader.readexactly(STEP + 1) == bytes(STEP + 1)
        assert len(reader._buffer) <= STEP
        with pytest.raises(asyncio.LimitOverrunError):
            await reader.readuntil(b"\n")
        assert len(reader._buffer) <= LIMIT + 2 * STEP

    asyncio.run(read())


@pytest.mark.parametrize("data", [b"\xff" * 10, b"\x00\x01\x02\x03\x04"])
def test_a_stream_that_is_none_ends_the_connection(data: bytes) -> None:
    async def read() -> None:
        with pytest.raises(GoodbyeError):
            await reader_of(data).readuntil(b"\n")

    asyncio.run(read())


def test_the_end_of_a_stream_is_the_end() -> None:
    async def read() -> None:
        ended = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = ended.compress(b"a\nb") + ended.flush()
        reader = reader_of(data + b"c\n")
        assert await reader.readuntil(b"\n") == b"a\n"
        with pytest.raises(asyncio.IncompleteReadError) as caught:
            await reader.readuntil(b"\n")
        assert caught.value.partial == b"b"
        assert await reader.read(5) == b""
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.readexactly(1)

    asyncio.run(read())

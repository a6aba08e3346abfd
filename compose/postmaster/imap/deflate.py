"""COMPRESS=DEFLATE (RFC 4978): what comes is inflated in small steps, what goes is deflated."""

from __future__ import annotations

import asyncio
import zlib

from postmaster.imap.outcome import GoodbyeError

STEP = 64 * 1024  # bytes that are inflated at once: a few of a client's may be megabytes
# The loop is everybody's, so speed counts more than the last percent; and it takes 64 KiB a
# connection, where the default would take 256.
LEVEL, WINDOW_BITS, MEMORY_LEVEL = 3, 13, 6


class Deflater:
    """What is sent, compressed; each piece can be read by itself."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL)

    def pack(self, data: bytes | bytearray) -> bytes:
        """Return the bytes to send for some, all of them."""
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


class InflatingReader:
    """`asyncio.StreamReader` as far as commands need it, over a compressed one.

    It holds what is asked for and one step more, however much it may become.
    """

    def __init__(self, reader: asyncio.StreamReader, limit: int) -> None:
        """`limit`: bytes of a line."""
        self._reader = reader
        self._limit = limit
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._more = False  # whether there may be more of what came already
        self._buffer = bytearray()

    async def readuntil(self, separator: bytes) -> bytes:
        """See `asyncio.StreamReader.readuntil`."""
        looked_at = 0
        while (at := self._buffer.find(separator, looked_at)) < 0:
            looked_at = max(0, len(self._buffer) - len(separator) + 1)
            if len(self._buffer) > self._limit:
                break
            if not await self._fill():
                raise asyncio.IncompleteReadError(self._take(len(self._buffer)), None)
        if at < 0 or at > self._limit:
            raise asyncio.LimitOverrunError("the line is too long", len(self._buffer))
        return self._take(at + len(separator))

    async def readexactly(self, n: int) -> bytes:
        """See `asyncio.StreamReader.readexactly`."""
        while len(self._buffer) < n:
            if not await self._fill():
                raise asyncio.IncompleteReadError(self._take(len(self._buffer)), n)
        return self._take(n)

    async def read(self, n: int) -> bytes:
        """Return at least one and at most `n` bytes; none at the end."""
        while not self._buffer and await self._fill():
            pass
        return self._take(n)

    def _take(self, n: int) -> bytes:
        taken = bytes(self._buffer[:n])
        del self._buffer[:n]
        return taken

    async def _fill(self) -> bool:
        """Inflate a step; False when nothing more comes. Raises GoodbyeError."""
        if self._inflate.eof:
            return False
        data = self._inflate.unconsumed_tail
        if self._more:
            await asyncio.sleep(0)  # the others' turn
        else:
            data = await self._reader.read(STEP)
            if not data:
                return False
        try:
            inflated = self._inflate.decompress(data, STEP)
        except zlib.error:
            raise GoodbyeError("what comes is not compressed") from None
        self._more = len(inflated) == STEP
        self._buffer += inflated
        return True

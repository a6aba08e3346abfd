"""Framing: one whole command from the stream, its literals in place, everything bounded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from postmaster.imap.deflate import InflatingReader
from postmaster.imap.outcome import GoodbyeError

LINE_LIMIT = 64 * 1024  # bytes; the stream reader is made with it

_LITERAL_AT_END = re.compile(rb"\{(\d{1,20})(\+?)\}$")
_APPEND = re.compile(rb"[^ ]+ +APPEND ", re.IGNORECASE)


LARGE_LITERAL = 64 * 1024  # bytes; from here on memory is asked for
DISCARD_CHUNK = 64 * 1024

Reserve = Callable[[int], Awaitable[bool]]


class ByteReader(Protocol):
    """What commands come from, with the errors of `asyncio.StreamReader`."""

    async def readuntil(self, separator: bytes) -> bytes:
        """Return what comes up to the separator and with it."""

    async def readexactly(self, n: int) -> bytes:
        """Return so many bytes."""

    async def read(self, n: int) -> bytes:
        """Return some bytes, at most so many; none at the end."""


@dataclass(frozen=True)
class ReadLimits:
    """How much one command may bring, in bytes."""

    command: int  # all lines and literals together, but for APPEND
    message: int  # APPEND's literals
    discard: int  # of what comes unasked and is thrown away, before that is too much


@dataclass(frozen=True)
class RefusedLiteral:
    """The client wanted to send a literal that is too large: not told to go on, or thrown away."""

    line: bytes
    busy: bool = False  # there was no memory for it; another time there will be


class CommandReader:
    """Reads commands and tells the client to go on where it waits for that."""

    def __init__(
        self, reader: asyncio.StreamReader, go_on: Callable[[], Awaitable[None]], reserve: Reserve
    ) -> None:
        """`go_on` sends the continuation request for a literal; `reserve` waits for memory,
        and returns whether there is any.
        """
        self._stream = reader
        self._reader: ByteReader = reader
        self._go_on = go_on
        self._reserve = reserve

    def inflate(self) -> None:
        """Take what comes from now on as compressed (RFC 4978)."""
        self._reader = InflatingReader(self._stream, LINE_LIMIT)

    async def line(self) -> bytes | None:
        """Return one line without its end; None when the client has gone."""
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            raise GoodbyeError("the line is too long") from None
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    async def command(self, limits: ReadLimits) -> bytes | RefusedLiteral | None:
        """Return one command as `grammar.Parser` reads it; None when the client has gone.

        Raises GoodbyeError when what comes is too much to go on.
        """
        line = await self.line()
        if line is None:
            return None
        limit = limits.message + LINE_LIMIT if _APPEND.match(line) else limits.command
        command = bytearray(line)
        while (match := _LITERAL_AT_END.search(line)) is not None:
            size, waits = int(match.group(1)), not match.group(2)
            too_large = len(command) + size > limit
            if too_large or not (size < LARGE_LITERAL or await self._reserve(size)):
                beginning = bytes(command[:LINE_LIMIT])
                if not waits and not await self._discard(match, limits.discard):
                    return None
                return RefusedLiteral(beginning, busy=not too_large)
            if waits:
                await self._go_on()
            try:
                command += b"\r\n" + await self._reader.readexactly(size)
            except asyncio.IncompleteReadError:
                return None
            rest = await self.line()
            if rest is None:
                return None
            command += rest
            line = rest
            if len(command) > limit + LINE_LIMIT:
                raise GoodbyeError("the command is too long")
        return bytes(command)

    async def _discard(self, match: re.Match[bytes] | None, budget: int) -> bool:
        """Read what comes unasked to the end of its command; False when the client has gone."""
        while match is not None:
            size, waits = int(match.group(1)), not match.group(2)
            if waits:
                return True  # it waits for an answer, and gets the NO
            budget -= size
            if budget < 0:
                raise GoodbyeError("the literal is too large")
            while size:
                data = await self._reader.read(min(size, DISCARD_CHUNK))
                if not data:
                    return False
                size -= len(data)
            line = await self.line()
            if line is None:
                return False
            match = _LITERAL_AT_END.search(line)
        return True

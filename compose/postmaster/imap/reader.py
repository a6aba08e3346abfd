"""Framing: one whole command from the stream, its literals in place, everything bounded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from postmaster.imap.outcome import GoodbyeError

LINE_LIMIT = 64 * 1024  # bytes; the stream reader is made with it

_LITERAL_AT_END = re.compile(rb"\{(\d{1,20})(\+?)\}$")
_APPEND = re.compile(rb"[^ ]+ +APPEND ", re.IGNORECASE)


@dataclass(frozen=True)
class ReadLimits:
    """How much one command may bring."""

    command: int  # bytes of all lines and literals together, but for APPEND
    message: int  # bytes of APPEND's literals


@dataclass(frozen=True)
class RefusedLiteral:
    """The client asked to send a literal that is too large, and was not told to go on."""

    line: bytes


class CommandReader:
    """Reads commands and tells the client to go on where it waits for that."""

    def __init__(self, reader: asyncio.StreamReader, go_on: Callable[[], Awaitable[None]]) -> None:
        """`go_on` sends the continuation request for a literal."""
        self._reader = reader
        self._go_on = go_on

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
            if len(command) + size > limit:
                if waits:
                    return RefusedLiteral(bytes(command))
                # It is on its way already, and nobody knows how much of it will come.
                raise GoodbyeError("the literal is too large")
            if waits:
                await self._go_on()
            try:
                data = await self._reader.readexactly(size)
            except asyncio.IncompleteReadError:
                return None
            rest = await self.line()
            if rest is None:
                return None
            command += b"\r\n"
            command += data
            command += rest
            line = rest
            if len(command) > limit + LINE_LIMIT:
                raise GoodbyeError("the command is too long")
        return bytes(command)

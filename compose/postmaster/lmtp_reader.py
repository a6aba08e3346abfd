"""What comes on an LMTP connection: command lines, and messages up to the line of one dot."""

from __future__ import annotations

import asyncio

CHUNK = 64 * 1024
END = b"\r\n.\r\n"


class TooLongError(ValueError):
    """A command line is longer than any can be."""


class LmtpReader:
    """Reads commands and messages; what has come beyond one is kept for the next."""

    def __init__(self, reader: asyncio.StreamReader, line_limit: int) -> None:
        """`line_limit`: bytes that a command line may have."""
        self._reader = reader
        self._line_limit = line_limit
        self._rest = bytearray()

    async def line(self) -> bytes | None:
        """Return a command line without its end, None when the client has gone.

        Raises TooLongError.
        """
        while (end := self._rest.find(b"\n")) < 0 and len(self._rest) < self._line_limit:
            chunk = await self._reader.read(CHUNK)
            if not chunk:
                return None
            self._rest += chunk
        if not 0 <= end < self._line_limit:
            raise TooLongError
        line = bytes(self._rest[:end]).rstrip(b"\r")
        del self._rest[: end + 1]
        return line

    async def message(self, limit: int) -> bytes | None:
        """Read up to the line of one dot and undo dot-stuffing (RFC 5321 4.5.2).

        Lines end in CRLF and nothing else: a bare LF is content, so it can smuggle no end. Returns
        None, after all of it was read, when the message is longer than `limit` bytes. Raises
        asyncio.IncompleteReadError when the client leaves before the end.
        """
        # Begins with the line break before the message, so that every line has one before it.
        data, self._rest = bytearray(b"\r\n") + self._rest, bytearray()
        too_long, looked = False, 0
        while (end := data.find(END, looked)) < 0:
            # Stuffing makes a message longer, at most by a third.
            if len(data) > limit + limit // 2 + CHUNK:
                too_long = True
                del data[: -len(END)]
            looked = max(0, len(data) - len(END))
            chunk = await self._reader.read(CHUNK)
            if not chunk:
                raise asyncio.IncompleteReadError(b"", None)
            data += chunk
        self._rest = data[end + len(END) :]
        del data[end + 2 :]
        if too_long:
            return None
        message = bytes(data.replace(b"\r\n.", b"\r\n")[2:])
        return message if len(message) <= limit else None

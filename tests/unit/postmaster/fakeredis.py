"""As much of Redis as the directory uses, for tests that let time pass."""

from __future__ import annotations

import asyncio


class FakeRedis:
    """As much of Redis (RESP2) as the limits use; nothing expires but by `pass_time`."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.expiry: dict[str, int] = {}

    def pass_time(self, seconds: int) -> None:
        """Let what lives no longer than so many seconds go."""
        self.values = {key: v for key, v in self.values.items() if self.expiry[key] > seconds}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (head := await reader.readline()).startswith(b"*"):
            words = []
            for _ in range(int(head[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2].decode())
            writer.write(self.answer(words))
        writer.close()

    def text(self, key: str) -> bytes:
        value = self.values.get(key)
        return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value.encode())

    def answer(self, words: list[str]) -> bytes:  # noqa: PLR0911 - a case a command
        match words:
            case ["MGET", *keys]:
                return b"*%d\r\n" % len(keys) + b"".join(map(self.text, keys))
            case ["GET", key]:
                return self.text(key)
            case ["SET", key, value, "EX", seconds, *nx]:
                if nx and key in self.values:
                    return b"$-1\r\n"
                self.expiry[key], self.values[key] = int(seconds), value
            case ["INCR", key]:
                return self.answer(["INCRBY", key, "1"])
            case ["INCRBY", key, number]:
                self.values[key] = str(int(self.values.get(key, "0")) + int(number))
                return b":%s\r\n" % self.values[key].encode()
            case ["EXPIRE", key, seconds]:
                self.expiry[key] = int(seconds)
            case ["DEL", *keys]:
                return b":%d\r\n" % sum(self.values.pop(key, None) is not None for key in keys)
        return b"+OK\r\n"

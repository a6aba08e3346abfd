"""The side of `admin` of the machine's socket (docs/administration.md): a connection a question."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOCKET = Path("/run/administration/socket")
MOST_BYTES = 4 << 20  # of a line of an answer
# Less than the proxy waits. The checks alone wait up to 45 for others.
ANSWER_SECONDS = 110.0


class MachineError(Exception):
    """The machine said no; `kind` as in the protocol, or `away`. Its words are in English."""

    def __init__(self, kind: str, message: str = "", hint: str = "", wait: float = 0.0) -> None:
        super().__init__(kind)
        self.kind = kind
        self.message = message
        self.hint = hint
        self.wait = wait


@dataclass(frozen=True)
class MachineLink:
    """Asks the machine. Nothing is kept here: each question has the token of who asks."""

    socket: Path = SOCKET

    async def ask(self, verb: str, token: str = "", **arguments: Any) -> dict[str, Any]:
        """Return the result of a verb. Raises MachineError."""
        return await self.call(verb, token, arguments)

    async def call(
        self, verb: str, token: str, arguments: Mapping[str, Any], client: str = ""
    ) -> dict[str, Any]:
        """The same with whatever was sent; `client` is the address of a program with a token."""
        request = {"version": 1, "verb": verb, "token": token, "arguments": arguments}
        request |= {"from": client} if client else {}
        try:
            line = json.dumps(request).encode() + b"\n"
        except RecursionError:
            raise MachineError("invalid", "this is nested too deeply") from None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._exchange(line)
            if answer["ok"]:
                return dict(answer["result"])
            kind, message, hint = (str(answer[key]) for key in ("kind", "error", "hint"))
            wait = float(answer.get("wait", 0.0))
        except (OSError, ValueError, KeyError, TypeError, TimeoutError):
            raise MachineError("away") from None
        raise MachineError(kind, message, hint, wait)

    async def _exchange(self, line: bytes) -> Any:
        reader, writer = await asyncio.open_unix_connection(str(self.socket), limit=MOST_BYTES)
        try:
            writer.write(line)
            await writer.drain()
            while True:
                answer = json.loads(await reader.readline())
                if "progress" not in answer:
                    return answer
        finally:
            writer.close()

"""What connections of people's mail programs share, by IMAP or POP3: patience, answers, logins."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from postmaster.errors import DirectoryUnavailableError
from postmaster.query import VerdictKind
from postmaster.services import Services
from postmaster.serving import drain, peer_address

WRITE_CHUNK = 64 * 1024
MAX_FAULTS = 20  # bad commands in a row, then the client is told to go
MAX_FAILED_LOGINS = 3  # on one connection; the directory counts over all of them


@dataclass(frozen=True)
class Timeouts:
    """How long a client may say nothing, in seconds."""

    before_login: float
    after_login: float


class ClientConnection:
    """One client: who it is, and what it is sent."""

    def __init__(self, writer: asyncio.StreamWriter, timeouts: Timeouts) -> None:
        self.address = peer_address(writer)
        self.timeouts = timeouts
        self._writer = writer

    async def stream(self, pieces: Iterable[bytes]) -> None:
        """Send pieces as they are made; waits while the client is slow.

        No more than two chunks of it lie in memory besides the piece. Raises TimeoutError when the
        client takes nothing.
        """
        waiting = bytearray()
        for piece in pieces:
            if len(piece) <= WRITE_CHUNK:
                waiting += piece
            else:
                for start in range(0, len(piece), WRITE_CHUNK):
                    await self._flush(waiting)
                    waiting += piece[start : start + WRITE_CHUNK]
            if len(waiting) >= WRITE_CHUNK:
                await self._flush(waiting)
        await self._flush(waiting)

    def expect_pieces(self) -> None:
        """Acknowledge at once what comes next (tcp(7), TCP_QUICKACK).

        A client without TCP_NODELAY sends the end of a message only when what came before was
        acknowledged, for which the kernel would take up to 40 ms.
        """
        connection = self._writer.get_extra_info("socket")
        if connection is not None and hasattr(socket, "TCP_QUICKACK"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    async def _flush(self, waiting: bytearray) -> None:
        self._writer.write(bytes(waiting))
        waiting.clear()
        await drain(self._writer)


class LoginProblem(Enum):
    """Why a login was refused; the value is what the client is told."""

    WRONG = "wrong name or password"
    LIMITED = "too many failed logins, try again in some minutes"
    UNAVAILABLE = "logins are not possible now, try again later"


_PROBLEMS = {
    VerdictKind.REJECTED: LoginProblem.WRONG,
    VerdictKind.LIMITED: LoginProblem.LIMITED,
}


async def judge_login(
    services: Services, name: str, password: str, address: str, service: str
) -> str | LoginProblem:
    """Return the main address of who logs in from an IP address, or why nobody does."""
    try:
        verdict = await services.directory.authenticate(name, password, address, service)
    except DirectoryUnavailableError:
        return LoginProblem.UNAVAILABLE
    if verdict.kind is VerdictKind.ACCEPTED and verdict.person is not None:
        return verdict.person
    return _PROBLEMS.get(verdict.kind, LoginProblem.UNAVAILABLE)

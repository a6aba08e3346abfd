"""The side of `dav` of `protocol`: blocking, a connection a request, light to import."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from postmaster.dav.protocol import FRAME_BYTES, LENGTH, Problem, decode, encode

SECONDS = 95.0  # a login may have to wait for its turn
PAGE_HREFS = 200  # asked for at once


class ProblemError(Exception):
    """The mail store did not do it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True)
class Address:
    """Where the mail store listens."""

    host: str
    port: int


@dataclass
class Link:
    """Somebody's session, for one request; use it on one thread only."""

    address: Address
    session: str = field(repr=False)
    person: str
    _connection: socket.socket | None = field(default=None, init=False, repr=False)

    def ask(self, op: str, **question: Any) -> dict[str, Any]:
        """Ask for something. Raises ProblemError."""
        try:
            if self._connection is None:
                self._connection = connect(self.address)
            message = {"op": op, "session": self.session, **question}
            return exchange(self._connection, message)
        except (OSError, ValueError):
            self.close()
            raise ProblemError(Problem.UNAVAILABLE) from None

    def items(
        self,
        name: str,
        hrefs: Sequence[str] | None = None,
        *,
        component: str | None = None,
        begins: int | None = None,
        ends: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Return items of a collection, those of `hrefs` in any order. Raises ProblemError."""
        groups: list[Sequence[str] | None] = [None]
        if hrefs is not None:
            groups = [hrefs[at : at + PAGE_HREFS] for at in range(0, len(hrefs), PAGE_HREFS)]
        for group in groups:
            after, more = "", True
            while more:
                answer = self.ask(
                    "items",
                    name=name,
                    after=after,
                    hrefs=group,
                    component=component,
                    begins=begins,
                    ends=ends,
                )
                yield from answer["items"]
                more = answer["more"]
                after = answer["items"][-1]["href"] if answer["items"] else ""

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def log_in(address: Address, login: str, password: str, client: str) -> dict[str, Any]:
    """Return the answer to a login from a client's IP address. Raises ProblemError."""
    question = {"op": "login", "login": login, "password": password, "address": client}
    try:
        with connect(address) as connection:
            return exchange(connection, question)
    except (OSError, ValueError):
        raise ProblemError(Problem.UNAVAILABLE) from None


def connect(address: Address) -> socket.socket:
    """Return a connection to the mail store. Raises OSError."""
    return socket.create_connection((address.host, address.port), SECONDS)


def exchange(connection: socket.socket, question: dict[str, Any]) -> dict[str, Any]:
    """Ask and return the answer. Raises ProblemError, OSError, or ValueError."""
    connection.sendall(encode(question))
    (length,) = LENGTH.unpack(_read(connection, LENGTH.size))
    if length > FRAME_BYTES:
        raise ValueError("the answer is too long")
    answer = decode(_read(connection, length))
    if "error" in answer:
        raise ProblemError(Problem(answer["error"]))
    return answer


def _read(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = connection.recv(min(count - len(data), 1 << 18))
        if not chunk:
            raise ConnectionError("the mail store closed the connection")
        data += chunk
    return bytes(data)

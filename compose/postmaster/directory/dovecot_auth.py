"""Logins for Postfix (`smtpd_sasl_type = dovecot`): Dovecot's authentication protocol 1.2.

Source: "Dovecot Authentication Protocol v1.2" in Dovecot's documentation, and Postfix's
`xsasl_dovecot_server.c`. Lines of tab-separated fields; PLAIN (RFC 4616) and LOGIN.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from postmaster.query import DirectoryQueries, Verdict, VerdictKind
from postmaster.serving import drain

LINE_LIMIT = 12 * 1024
MAX_PENDING = 64  # exchanges that wait for their continuation, on one connection
USERNAME_PROMPT = base64.b64encode(b"Username:").decode()
PASSWORD_PROMPT = base64.b64encode(b"Password:").decode()
MECHANISMS = ("PLAIN", "LOGIN")

_connection_numbers = itertools.count(1)


class ExchangeError(ValueError):
    """What the client sent is not what its mechanism asks for."""


@dataclass(frozen=True)
class Exchange:
    """One login under way."""

    mechanism: str
    address: str
    service: str
    login: str | None = None  # LOGIN: known after its first answer


@dataclass(frozen=True)
class Credentials:
    """A login name and its password, not yet judged."""

    login: str
    password: str


def escape(value: str) -> str:
    """Escape a field's value the way Dovecot does (`str_tabescape`)."""
    for plain, escaped in (("\x01", "1"), ("\0", "0"), ("\t", "t"), ("\r", "r"), ("\n", "n")):
        value = value.replace(plain, f"\x01{escaped}")
    return value


def advance(exchange: Exchange, response: str | None) -> Credentials | Exchange:
    """Take the client's next base64 response; return credentials, or the exchange to go on.

    Raises ExchangeError when the response makes no sense.
    """
    if response is None:
        return exchange
    try:
        text = base64.b64decode(response, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ExchangeError("a response is base64 of UTF-8") from error
    if exchange.mechanism == "LOGIN":
        if exchange.login is None:
            return Exchange(exchange.mechanism, exchange.address, exchange.service, text)
        return Credentials(exchange.login, text)
    parts = text.split("\0")
    if len(parts) != 3 or parts[0] not in ("", parts[1]):
        raise ExchangeError("PLAIN is authorization, login and password")
    return Credentials(parts[1], parts[2])


class AuthConnection:
    """One connection of Postfix: handshake, then logins with the numbers that Postfix gives."""

    def __init__(self, queries: DirectoryQueries) -> None:
        self._queries = queries
        self._pending: dict[str, Exchange] = {}

    def greeting(self) -> str:
        """Return the server's half of the handshake; it need not wait for the client's."""
        lines = [
            "VERSION\t1\t2",
            *(f"MECH\t{mechanism}\tplaintext" for mechanism in MECHANISMS),
            f"SPID\t{os.getpid()}",
            f"CUID\t{next(_connection_numbers)}",
            f"COOKIE\t{secrets.token_hex(16)}",
            "DONE",
        ]
        return "".join(f"{line}\n" for line in lines)

    async def answer(self, line: str) -> str | None:
        """Answer one line; None when none is due. ExchangeError when the client must go."""
        command, *fields = line.split("\t")
        if command == "VERSION":
            if fields[:1] != ["1"]:
                raise ExchangeError("another major version of the protocol")
            return None
        if command == "AUTH" and len(fields) >= 2:
            return await self._start(fields[0], fields[1], fields[2:])
        if command == "CONT" and len(fields) == 2:
            exchange = self._pending.pop(fields[0], None)
            if exchange is None:
                return self._failure(fields[0], "no login is waiting")
            return await self._go_on(fields[0], exchange, fields[1])
        if command == "CANCEL" and fields:
            self._pending.pop(fields[0], None)
        return None  # CPID and whatever later minor versions add

    async def _start(self, number: str, mechanism: str, parameters: list[str]) -> str:
        values = dict(parameter.partition("=")[::2] for parameter in parameters)
        if "secured" not in values:
            return self._failure(number, "logins need TLS")
        if mechanism not in MECHANISMS:
            return self._failure(number, "unsupported mechanism")
        if len(self._pending) >= MAX_PENDING:
            return self._failure(number, "too many logins at once", temporary=True)
        address = values.get("rip", "unknown")
        exchange = Exchange(mechanism, address, values.get("service", "smtp"))
        return await self._go_on(number, exchange, values.get("resp"))

    async def _go_on(self, number: str, exchange: Exchange, response: str | None) -> str:
        try:
            step = advance(exchange, response)
        except ExchangeError as error:
            return self._failure(number, str(error))
        if isinstance(step, Exchange):
            self._pending[number] = step
            if step.mechanism == "PLAIN":
                return f"CONT\t{number}\t\n"
            prompt = USERNAME_PROMPT if step.login is None else PASSWORD_PROMPT
            return f"CONT\t{number}\t{prompt}\n"
        verdict = await self._queries.authenticate(
            step.login, step.password, exchange.address, exchange.service
        )
        return self._verdict(number, step.login, verdict)

    def _verdict(self, number: str, login: str, verdict: Verdict) -> str:
        if verdict.kind is VerdictKind.ACCEPTED and verdict.person is not None:
            return f"OK\t{number}\tuser={escape(verdict.person)}\n"
        if verdict.kind is VerdictKind.REJECTED:
            return f"FAIL\t{number}\tuser={escape(login)}\n"
        return self._failure(number, "try again later", temporary=True)

    @staticmethod
    def _failure(number: str, reason: str, *, temporary: bool = False) -> str:
        suffix = "\ttemp" if temporary else ""
        return f"FAIL\t{number}\treason={escape(reason)}{suffix}\n"


def dovecot_auth_handler(
    queries: DirectoryQueries,
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return the connection handler of an authentication server."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = AuthConnection(queries)
        writer.write(connection.greeting().encode())
        await drain(writer)
        while True:
            try:
                line = await reader.readline()
                if not line.endswith(b"\n"):
                    return
                answer = await connection.answer(line.decode().rstrip("\r\n"))
            except ValueError:
                return  # too long, not UTF-8, or another protocol
            if answer is not None:
                writer.write(answer.encode())
                await drain(writer)

    return handle

"""Mail comes in: a small LMTP server (RFC 2033) with one answer a recipient after DATA.

Our own, since aiosmtpd (the kept library for this) gives one answer for all recipients, which in
LMTP loses or doubles mail as soon as one of two vaults is unavailable.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from postmaster.delivery import JUNK, deliver, delivery_id, trace_fields
from postmaster.delivery import place as choose_folder
from postmaster.errors import (
    DirectoryUnavailableError,
    StorageFullError,
    StorageUnavailableError,
)
from postmaster.judging import Judge
from postmaster.lmtp_reader import LmtpReader, TooLongError
from postmaster.logs import event, warn
from postmaster.query import DirectoryQueries
from postmaster.serving import drain, place
from postmaster.storage.interface import MailStore, OverQuotaError

logger = logging.getLogger(__name__)

COMMAND_LIMIT = 4096  # bytes; RFC 5321 4.5.3.1.4 and room for SMTPUTF8 and parameters
MAX_RECIPIENTS = 1000
MAX_ERRORS = 20  # then the client is told to go
IDLE_SECONDS = 300.0  # RFC 5321 4.5.3.2.7

_PATH = re.compile(r"(?:FROM|TO):[ ]?<([^<>\x00-\x1f\x7f]*)>(?:[ ]+(.*))?", re.IGNORECASE)


@dataclass(frozen=True)
class Recipient:
    """A recipient that was accepted: as the client named it, and whose it is."""

    address: str
    person: str


@dataclass
class Transaction:
    """One message under way."""

    sender: str
    recipients: list[Recipient] = field(default_factory=list)


class LmtpSession:
    """One connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        store: MailStore,
        directory: DirectoryQueries,
        judge: Judge,
        size_limit: int,
    ) -> None:
        self._reader = LmtpReader(reader, COMMAND_LIMIT)
        self._writer = writer
        self._store = store
        self._directory = directory
        self._judge = judge
        self._size_limit = size_limit
        self._greeted = False
        self._transaction: Transaction | None = None
        self._errors = 0
        self._open = True

    async def serve(self) -> None:
        """Talk until the client leaves."""
        await self._reply("220 mailstore LMTP ready")
        while self._open:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    line = await self._reader.line()
            except TooLongError:
                await self._reply("500 5.5.2 Line too long")
                return
            except TimeoutError:
                await self._reply("421 4.4.2 Idle for too long")
                return
            if line is None:
                return
            reply = await self._answer(line)
            if reply.startswith("5"):
                self._errors += 1
                if self._errors >= MAX_ERRORS:
                    await self._reply("421 4.7.0 Too many errors")
                    return
            await self._reply(reply)

    async def _answer(self, line: bytes) -> str:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return "500 5.5.2 Not UTF-8"
        verb, _, argument = text.partition(" ")
        command = self._COMMANDS.get(verb.upper())
        if command is None:
            return "500 5.5.1 Unknown command"
        return await command(self, argument.strip())

    async def _lhlo(self, argument: str) -> str:
        if not argument:
            return "501 5.5.4 LHLO needs a name"
        self._greeted, self._transaction = True, None
        extensions = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
        lines = ["mailstore", *extensions, f"SIZE {self._size_limit}"]
        last = len(lines) - 1
        return "\r\n".join(
            f"250{' ' if number == last else '-'}{text}" for number, text in enumerate(lines)
        )

    async def _mail(self, argument: str) -> str:
        if not self._greeted or self._transaction is not None:
            return "503 5.5.1 Wrong order of commands"
        match = _PATH.fullmatch(argument)
        if match is None or not argument.upper().startswith("FROM"):
            return "501 5.5.4 MAIL FROM:<address>"
        sender, parameters = match.group(1), match.group(2) or ""
        for parameter in parameters.split():
            name, _, value = parameter.upper().partition("=")
            if name == "SIZE" and value.isdigit():
                if int(value[:20]) > self._size_limit:
                    return f"552 5.3.4 A message has at most {self._size_limit} bytes"
            elif name not in {"BODY", "SMTPUTF8"}:
                return "555 5.5.4 Unknown parameter"
        self._transaction = Transaction(sender)
        return "250 2.1.0 OK"

    async def _rcpt(self, argument: str) -> str:
        if self._transaction is None:
            return "503 5.5.1 MAIL comes first"
        match = _PATH.fullmatch(argument)
        if match is None or not argument.upper().startswith("TO") or match.group(2):
            return "501 5.5.4 RCPT TO:<address>"
        if len(self._transaction.recipients) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        address = match.group(1)
        try:
            person = await self._directory.resolve(address)
        except DirectoryUnavailableError as error:
            warn(logger, "directory-unavailable", reason=str(error))
            return "451 4.3.0 The directory does not answer, try again later"
        if person is None:
            return "550 5.1.1 There is no such mailbox"
        self._transaction.recipients.append(Recipient(address, person))
        return "250 2.1.5 OK"

    async def _data(self, argument: str) -> str:
        if self._transaction is None or not self._transaction.recipients:
            return "503 5.5.1 RCPT comes first"
        if argument:
            return "501 5.5.4 DATA has no parameters"
        await self._reply("354 End with a line of one dot")
        transaction, self._transaction = self._transaction, None
        async with asyncio.timeout(IDLE_SECONDS):
            message = await self._reader.message(self._size_limit)
        if message is None:
            reply = f"552 5.3.4 A message has at most {self._size_limit} bytes"
            return "\r\n".join([reply] * len(transaction.recipients))
        return "\r\n".join(await self._deliver_all(transaction, message))

    async def _deliver_all(self, transaction: Transaction, message: bytes) -> list[str]:
        """Return one reply a recipient, in their order; a person gets one copy only."""
        by_person: dict[str, str] = {}
        identifier = delivery_id(message)
        for recipient in transaction.recipients:
            if recipient.person not in by_person:
                trace = trace_fields(transaction.sender, recipient.address)
                by_person[recipient.person] = await self._deliver(
                    recipient, trace, message, identifier
                )
        return [by_person[recipient.person] for recipient in transaction.recipients]

    async def _deliver(
        self, recipient: Recipient, trace: bytes, message: bytes, identifier: bytes | None
    ) -> str:
        try:
            whole = trace + await self._judge.mark(recipient.person, message) + message
            kept = await deliver(self._store, recipient.person, whole, identifier)
        except Exception as error:
            reason, reply = _not_delivered(error)
            warn(logger, "delivery-refused", person=recipient.person, reason=reason)
            return reply
        if not kept:
            event(logger, "delivered-before", person=recipient.person)
            return "250 2.0.0 Delivered before"
        event(logger, "delivered", person=recipient.person, bytes=len(whole))
        # Postfix logs the answer: by it `mailstead log search` knows where a message went.
        junk = choose_folder(whole).folder == JUNK
        return "250 2.0.0 Delivered to Junk" if junk else "250 2.0.0 Delivered"

    async def _rset(self, _argument: str) -> str:
        self._transaction = None
        return "250 2.0.0 OK"

    async def _noop(self, _argument: str) -> str:
        return "250 2.0.0 OK"

    async def _vrfy(self, _argument: str) -> str:
        return "252 2.1.5 Send the mail and see"

    async def _quit(self, _argument: str) -> str:
        self._open = False
        return "221 2.0.0 Bye"

    _COMMANDS: ClassVar[Mapping[str, Callable[[LmtpSession, str], Awaitable[str]]]] = {
        "LHLO": _lhlo,
        "MAIL": _mail,
        "RCPT": _rcpt,
        "DATA": _data,
        "RSET": _rset,
        "NOOP": _noop,
        "VRFY": _vrfy,
        "QUIT": _quit,
    }

    async def _reply(self, text: str) -> None:
        self._writer.write(text.encode() + b"\r\n")
        await drain(self._writer)


def _not_delivered(error: Exception) -> tuple[str, str]:
    """Return why a message was not kept, for the log, and what the client is told."""
    if isinstance(error, OverQuotaError):
        if error.for_ever:
            return "over-quota", "552 5.2.2 The message is larger than the mailbox may be"
        # Its owner can make room before the sender's queue gives up, so that it is not 552.
        return "over-quota", "452 4.2.2 The mailbox is full, try again later"
    if isinstance(error, StorageFullError):
        return "disk-full", "452 4.3.1 No room on the disk, try again later"
    if isinstance(error, StorageUnavailableError):
        return "vault-unavailable", "451 4.3.0 The mailbox is not available, try again later"
    # Whatever it is, the mail stays in the queue; the log names only kind and place.
    return f"{type(error).__name__} {place(error)}", "451 4.3.0 Internal error, try again later"


def lmtp_handler(
    store: MailStore, directory: DirectoryQueries, judge: Judge, size_limit: int
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return the connection handler of an LMTP server."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = LmtpSession(
            reader, writer, store=store, directory=directory, judge=judge, size_limit=size_limit
        )
        await session.serve()

    return handle

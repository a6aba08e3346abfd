"""What is fuzzed: each target takes any bytes, and ends, in the ways that it may, in short time.

An exception that a target does not expect is a finding, and so is a property that does not hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from postmaster.imap import mutf7, wire
from postmaster.imap.deflate import STEP, InflatingReader
from postmaster.imap.fetch import parse_fetch
from postmaster.imap.folder_list import parse_list
from postmaster.imap.grammar import Parser
from postmaster.imap.listing import Pattern
from postmaster.imap.outcome import GoodbyeError, RefusedError, SyntaxFaultError
from postmaster.imap.reader import CommandReader, ReadLimits
from postmaster.imap.resync import parse_select_parameters
from postmaster.imap.search import Numbers, SearchParser
from postmaster.imap.sequence import parse_sequence_set
from postmaster.imap.sort import parse_sort_keys
from postmaster.imap.structure import body_structure, envelope
from postmaster.lmtp_reader import LmtpReader, TooLongError
from postmaster.message.address import Address, parse_addresses
from postmaster.message.header import decode_text, header_length, parse_fields
from postmaster.message.mime import MAX_DEPTH, MAX_PARTS, parse_message
from postmaster.message.order import (
    MAX_COMPARED,
    base_subject,
    display_name,
    find_references,
    message_ids,
    sent_seconds,
)
from postmaster.message.outline import dump_outline, load_outline
from postmaster.message.preview import PREVIEW_CHARACTERS, preview_parts, preview_text
from postmaster.message.searchable import searchable
from postmaster.message.transfer import without_binary_parts
from postmaster.pop3.wire import END, message_lines
from postmaster.sasl import MalformedResponseError, decode_plain

Target = Callable[[bytes], None]

MOST = 300  # bytes of a message that is delivered


def message(data: bytes) -> None:
    """A message as it is delivered, listed and searched."""
    part = parse_message(data)
    parts = list(part.walk())
    assert len(parts) <= 2 * MAX_PARTS + MAX_DEPTH
    assert all(0 <= one.start <= one.body <= one.end <= len(data) for one in parts)
    assert load_outline(dump_outline(part)) == part
    assert part.envelope is not None
    structures = [body_structure(part, extensible=True, rev2=rev2) for rev2 in (False, True)]
    for text in (*structures, envelope(part.envelope)):
        assert text.startswith(b"(")
        assert text.endswith(b")")
    searchable(data, header_length(data), part)
    for shown in preview_parts(part):
        assert len(preview_text(data[shown.body : shown.end], shown)) <= PREVIEW_CHARACTERS


def binary(data: bytes) -> None:
    """A message with binary parts as APPEND keeps it."""
    kept = without_binary_parts(data)
    assert without_binary_parts(kept) == kept


def header(data: bytes) -> None:
    """Header fields."""
    for item in parse_fields(data[: header_length(data)]):
        decode_text(item.value).encode("utf-8", "surrogatepass")


def addresses(data: bytes) -> None:
    """An address list."""
    for address in parse_addresses(data):
        assert address.mailbox is not None or address.host is None


def command(data: bytes) -> None:
    """The arguments of IMAP commands; the first byte chooses which, and the encoding."""
    parsers: tuple[Callable[[Parser], object], ...] = (
        lambda parser: parse_fetch(parser, by_uid=True),
        lambda parser: SearchParser(parser, Numbers(5, 9, (2, 3))).search(),
        parse_list,
        lambda parser: parser.mailbox(),
        lambda parser: parser.flags(),
        lambda parser: parser.date_time(),
        lambda parser: parser.sequence_set(),
        lambda parser: parser.nstring(),
        parse_select_parameters,
    )
    choice = data[0] if data else 0
    with suppress(SyntaxFaultError, RefusedError):
        parsers[choice % 128 % len(parsers)](Parser(data[1:], utf8=choice >= 128))


def stream(data: bytes) -> None:
    """Commands as they come from the network."""

    async def go_on() -> None:
        return

    async def reserve(size: int) -> bool:
        return size < 1000

    async def read() -> None:
        reader = asyncio.StreamReader(limit=200)
        reader.feed_data(data)
        reader.feed_eof()
        commands = CommandReader(reader, go_on, reserve)
        limits = ReadLimits(command=300, message=2000, discard=500)
        while (got := await commands.command(limits)) is not None:
            assert not isinstance(got, bytes) or len(got) <= limits.message + 2 * 64 * 1024

    with suppress(GoodbyeError):
        asyncio.run(read())


def inflated(data: bytes) -> None:
    """A compressed connection: lines that are bounded, whatever comes."""

    async def read() -> None:
        source = asyncio.StreamReader()
        source.feed_data(data)
        source.feed_eof()
        reader = InflatingReader(source, MOST)
        while line := await reader.readuntil(b"\n"):
            assert line.index(b"\n") == len(line) - 1 <= MOST
            assert len(await reader.read(7)) <= 7
            assert len(reader._buffer) <= MOST + 2 * STEP

    with suppress(GoodbyeError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        asyncio.run(read())


def order(data: bytes) -> None:
    """What SORT and THREAD look at, and their arguments."""
    base, _ = base_subject(data)
    assert len(base) <= MAX_COMPARED
    sent_seconds(data)
    assert len(display_name(Address(data, data, data))) <= MAX_COMPARED
    for identifier in message_ids(find_references(data)):
        assert b"@" in identifier
    with suppress(SyntaxFaultError, RefusedError):
        parser = Parser(data)
        parse_sort_keys(parser)
        parser.space()
        criteria = SearchParser(parser, Numbers(5, 9, (2, 3)))
        criteria.charset()
        criteria.criteria()


def delivery(data: bytes) -> None:
    """A message as it comes by LMTP, in pieces: dots undone, one end, nothing lost behind it."""

    async def read() -> None:
        source = asyncio.StreamReader()
        source.feed_data(data[1:])
        source.feed_eof()
        size = data[0] % 9 + 1 if data else 1
        reader = LmtpReader(_Pieces(source, size), 100)
        lines = data[1:].split(b"\r\n")
        with suppress(asyncio.IncompleteReadError, TooLongError):
            message = await reader.message(MOST)
            end = lines.index(b".")
            kept = b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:end])
            assert message == (kept if len(kept) <= MOST else None)
            after = b"\r\n".join(lines[end + 1 :])
            line = await reader.line()
            assert line is None or after.startswith(line)

    asyncio.run(read())


class _Pieces(asyncio.StreamReader):
    """A stream that gives at most so many bytes at a time."""

    def __init__(self, source: asyncio.StreamReader, size: int) -> None:
        super().__init__()
        self._source, self._size = source, size

    async def read(self, n: int = -1) -> bytes:
        """Return the next bytes."""
        return await self._source.read(min(n, self._size))


def names(data: bytes) -> None:
    """Folder names, sequence sets and patterns."""
    text = data.decode("latin-1")
    with suppress(ValueError):
        assert mutf7.encode(mutf7.decode(text)) == text
    with suppress(ValueError):
        parse_sequence_set(text).resolved(7)
    Pattern(text[:100])(text[100:400])
    parser = Parser(wire.string(data))
    assert parser.string() == data.replace(b"\0", b"\x80")
    with suppress(MalformedResponseError):
        decode_plain(data)


def maildrop(data: bytes) -> None:
    """A message as POP3 sends it: one end, and no line that looks like it before."""
    sent = b"".join(message_lines(b"", data))
    assert sent.endswith(END)
    assert END not in {line + b"\r\n" for line in sent[: -len(END)].split(b"\r\n")}


TARGETS: Mapping[str, Target] = {
    target.__name__: target
    for target in (
        message,
        binary,
        header,
        addresses,
        command,
        stream,
        inflated,
        order,
        delivery,
        names,
        maildrop,
    )
}

"""The parsers on any input at all: they refuse or answer, and what they wrote they can read."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmaster.imap import mutf7, wire
from postmaster.imap.fetch import parse_fetch
from postmaster.imap.grammar import Parser, format_date_time
from postmaster.imap.listing import Pattern
from postmaster.imap.outcome import GoodbyeError, RefusedError, SyntaxFaultError
from postmaster.imap.reader import CommandReader, ReadLimits, RefusedLiteral
from postmaster.imap.search import Numbers, SearchParser
from postmaster.imap.section import find_part
from postmaster.imap.sequence import format_sequence_set, parse_sequence_set
from postmaster.imap.structure import body_structure, envelope
from postmaster.message.address import Address, parse_addresses
from postmaster.message.header import decode_text, find_fields, header_length, parse_fields
from postmaster.message.mime import MAX_PARTS, parse_message
from postmaster.message.outline import dump_outline, load_outline
from postmaster.message.text import part_text
from tests.unit.postmaster.harness import bounded

PIECES = [
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b'Content-Type: message/rfc822; name="x"\n',
    b"Content-Type: message/global\r\n",
    b"Content-Type: text/html; charset=latin-1\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Disposition: attachment; filename=x\r\n",
    b"From: A <a@b>, (c) d@e; \r\n",
    b"Subject: =?utf-8?q?x?=\r\n",
    b"--b\r\n",
    b"--b--\r\n",
    b"\r\n",
    b"\n",
    b" fold\r\n",
    b"text",
]
messages = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=12))).map(b"".join)


@bounded
@given(messages)
def test_any_bytes_have_an_outline(data: bytes) -> None:
    part = parse_message(data)
    assert load_outline(dump_outline(part)) == part
    for inner in part.walk():
        assert 0 <= inner.start <= inner.body <= inner.end <= len(data)
        part_text(data, inner)
    assert part.envelope is not None
    assert envelope(part.envelope).endswith(b")")
    for rev2 in (False, True):
        assert body_structure(part, extensible=True, rev2=rev2).startswith(b"(")


@bounded
@given(messages)
def test_header_and_body_make_the_message(data: bytes) -> None:
    length = header_length(data)
    assert 0 <= length <= len(data)
    for field in parse_fields(data[:length]):
        decode_text(field.value)


# What fields are made of, and what ends them or does not.
LINES = [
    b"From",
    b"X",
    b":",
    b" ",
    b"\t",
    b"\n",
    b"\r\n",
    b"\r",
    b"\x0b",
    b"\0",
    b"\xa0",
    b"a: b\r\n",
]


@bounded
@given(st.lists(st.sampled_from(LINES), max_size=30).map(b"".join))
def test_fields_are_found_as_they_are_parsed(header: bytes) -> None:
    names = {b"from", b"a"}
    every = [field for field in parse_fields(header) if field.name.lower() in names]
    assert find_fields(header, names) == every


@bounded
@given(st.binary(max_size=200))
def test_any_bytes_have_addresses(value: bytes) -> None:
    for address in parse_addresses(value):
        assert address.mailbox is not None or address == Address(None, None, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a@b", [Address(None, b"a", b"b")]),
        (b'"Q, \\"x\\"" <a.b@c>', [Address(b'Q, "x"', b"a.b", b"c")]),
        (b"a@b (Ann (the) one)", [Address(b"Ann (the) one", b"a", b"b")]),
        (
            b"X Y<@r,@s:a@b>, c@d",
            [Address(b"X Y", b"a", b"b", b"@r,@s"), Address(None, b"c", b"d")],
        ),
        (b'"a b"@c', [Address(None, b"a b", b"c")]),
        (b"a@[127.0.0.1]", [Address(None, b"a", b"[127.0.0.1]")]),
        (b"G:;", [Address(None, b"G", None), Address(None, None, None)]),
        (b"nobody", [Address(None, b"nobody", b"")]),
        (b"", []),
        (b", ,", []),
    ],
)
def test_addresses(value: bytes, expected: list[Address]) -> None:
    assert list(parse_addresses(value)) == expected


def test_parts_are_bounded() -> None:
    data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * (MAX_PARTS * 3)
    assert sum(1 for _ in parse_message(data).walk()) <= MAX_PARTS + 1


def test_numbers_of_parts() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: s\r\n\r\ninner\r\n--b--\r\n"
    )
    root = parse_message(data)

    def text(*numbers: int) -> bytes | None:
        part = find_part(root, numbers)
        return None if part is None else data[part.body : part.end]

    assert text(1) == b"one"
    assert text(2) == b"Subject: s\r\n\r\ninner"
    assert text(2, 1) == b"inner"
    assert text(1, 1) is None
    assert text(2, 1, 1) is None
    assert text(3) is None


@bounded
@given(st.text())
def test_modified_utf7_round_trips(name: str) -> None:
    try:
        coded = mutf7.encode(name)
    except UnicodeEncodeError:
        return  # a lone surrogate
    assert coded.isascii()
    assert mutf7.decode(coded) == name


@pytest.mark.parametrize("name", ["&", "&AGE-", "&Jjo", "a&-&", "&AA-", "&2AA-", "\x80"])
def test_broken_modified_utf7_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="broken"):
        mutf7.decode(name)


@bounded
@given(st.binary(max_size=1500))
def test_strings_round_trip(value: bytes) -> None:
    parser = Parser(wire.string(value))
    assert parser.string() == value.replace(b"\0", b"\x80")
    parser.end()


@bounded
@given(st.binary(max_size=60))
def test_the_grammar_refuses_but_never_fails(data: bytes) -> None:
    for name in ("tag", "astring", "nstring", "mailbox", "list_mailbox", "sequence_set", "flags"):
        with suppress(SyntaxFaultError, RefusedError):
            getattr(Parser(data), name)()
    words = [b"(", b")", b"NOT ", b"OR ", b"1:* ", b"FLAGS", b"BODY[", b"]", b" ", b"SUBJECT x"]
    for word in words:
        for text in (word + data, data + word):
            with suppress(SyntaxFaultError):
                parse_fetch(Parser(text), by_uid=True)
            with suppress(SyntaxFaultError, RefusedError):
                SearchParser(Parser(text), Numbers(5, 9)).search()


@bounded
@given(st.sets(st.integers(1, 300)), st.sets(st.integers(1, 300), min_size=1))
def test_sequence_sets_select_what_they_name(have: set[int], named: set[int]) -> None:
    chosen = parse_sequence_set(format_sequence_set(sorted(named)))
    assert chosen.select(sorted(have)) == sorted(have & named)


def test_star_is_the_largest() -> None:
    assert parse_sequence_set("*").select([3, 8]) == [8]
    assert parse_sequence_set("9:*").select([3, 8]) == [8]  # RFC 3501 9, seq-range
    assert parse_sequence_set("*:4").select([3, 5, 8]) == [5, 8]


@bounded
@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 1)),
    st.integers(-1439, 1439),
)
def test_dates_round_trip(moment: datetime, zone: int) -> None:
    value = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=zone)))
    assert Parser(format_date_time(value).encode()).date_time() == value
    assert value.astimezone(UTC) == value


@pytest.mark.parametrize(
    "text",
    ["31-Dec-9999 23:59:59 -1200", " 1-Jan-0001 00:00:00 +1400", " 1-Jan-0000 00:00:00 +0000"],
)
def test_a_date_that_could_not_be_read_back_is_refused(text: str) -> None:
    with pytest.raises(SyntaxFaultError, match="no such date"):
        Parser(f'"{text}"'.encode()).date_time()


def read_command(data: bytes, limits: ReadLimits) -> tuple[bytes | RefusedLiteral | None, int]:
    """Return what the reader makes of a stream, and how often it asked to go on."""
    asked = 0

    async def go_on() -> None:
        nonlocal asked
        asked += 1

    async def reserve(size: int) -> bool:
        return size < 100_000

    async def run() -> bytes | RefusedLiteral | None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await CommandReader(reader, go_on, reserve).command(limits)

    return asyncio.run(run()), asked


def test_literals_are_put_in_place() -> None:
    limits = ReadLimits(100, 1_000_000, 10_000)
    assert read_command(b"a X {3}\r\n\r\nb {1+}\r\nc d\r\n", limits) == (
        b"a X {3}\r\n\r\nb {1+}\r\nc d",
        1,
    )
    assert read_command(b"a X {3}\r\nab", limits) == (None, 1)
    refused, asked = read_command(b"a X {101}\r\n", limits)
    assert isinstance(refused, RefusedLiteral)
    assert asked == 0
    appended, _ = read_command(b"a append X {300}\r\n" + b"x" * 300 + b"\r\n", limits)
    assert isinstance(appended, bytes)
    busy, _ = read_command(b"a APPEND X {100000}\r\n", limits)
    assert isinstance(busy, RefusedLiteral)
    assert busy.busy


def test_what_comes_unasked_is_thrown_away() -> None:
    limits = ReadLimits(100, 1000, 10_000)
    unasked = b"a X {5000+}\r\n" + b"x" * 5000 + b" {101+}\r\n" + b"x" * 101 + b"\r\n"
    refused, asked = read_command(unasked, limits)
    assert refused == RefusedLiteral(b"a X {5000+}")
    assert asked == 0
    assert read_command(b"a X {5000+}\r\nxx", limits) == (None, 0)
    with pytest.raises(GoodbyeError):
        read_command(b"a X {10001+}\r\n", limits)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a/b", True),
        ("%", "a/b", False),
        ("a/%", "a/b", True),
        ("inbox", "INBOX", True),
        ("%%%%%%%%%%%%%%%%%%%%%%%%%%x", "a" * 500, False),
        ("*%*%*%*%*%*%*%*%*%x", "a" * 500, False),
        ("%a" * 200 + "x", "a" * 900, False),
        ("*a%b", "xa/ab", True),
        ("*a%b", "xa/b", False),
        ("", "", True),
        ("%", "", True),
        ("a.c", "abc", False),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    assert Pattern(pattern)(name) is matches

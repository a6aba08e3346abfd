"""A mail goes in by LMTP and comes out by IMAP, byte for byte, whatever happens in between."""

from __future__ import annotations

import base64
from collections.abc import Callable

from tests.unit.postmaster.harness import ADA, BOB, CANARY, CANARY_PASSWORD, PASSWORD, Stack

SECRET_WORDS = (b"xylophone-quartz", b"Marmalade", b"zebra.example", b"plum-pudding")
MESSAGE = (
    b"From: Zoe <zoe@zebra.example>\r\nTo: ada@example.com\r\nSubject: Marmalade\r\n"
    b"Message-ID: <plum-pudding@zebra.example>\r\n\r\n"
    b"xylophone-quartz\r\n..a dot\r\n.\tanother\r\n\xff\xfe 8 bit\r\n"
)


def fetch_all(stack: Stack, person: str = ADA, password: str = PASSWORD) -> list[bytes]:
    """Return the messages of a person's inbox."""
    with stack.imap(person, password) as client:
        _, (count,) = client.select()
        if not int(count or 0):
            return []
        _, data = client.fetch("1:*", "(BODY.PEEK[])")
        return [item[1] for item in data if isinstance(item, tuple)]


def test_mail_comes_out_as_it_went_in(stack: Stack) -> None:
    assert stack.deliver(MESSAGE) == {}
    (received,) = fetch_all(stack)
    trace, _, rest = received.partition(b"From:")
    assert b"From:" + rest == MESSAGE
    assert trace == b"Return-Path: <sender@elsewhere.example>\r\nDelivered-To: ada@example.com\r\n"


def test_mail_outlives_a_restart(start: Callable[[], Stack]) -> None:
    first = start()
    first.deliver(MESSAGE)
    before = fetch_all(first)
    first.stop()
    assert fetch_all(start()) == before


def test_no_plaintext_byte_on_disk(stack: Stack) -> None:
    stack.deliver(MESSAGE)
    with stack.imap() as client:
        client.append("INBOX", r"(\Seen)", "", MESSAGE)
        client.create('"Marmalade/xylophone-quartz"')
        # While it is open (the log is not written back yet) and after it was closed.
        _search_for_plaintext(stack)
    stack.stop()
    _search_for_plaintext(stack)


def _search_for_plaintext(stack: Stack) -> None:
    found = [path for path in stack.files.vaults.rglob("*") if path.is_file()]
    assert any(path.suffix == ".vault" for path in found)
    for path in [*found, *stack.files.keys.iterdir()]:
        content = path.read_bytes()
        for word in (*SECRET_WORDS, b"example.com", b"INBOX", b"CREATE TABLE"):
            assert word not in content, f"{word!r} is readable in {path}"
            encoded = base64.b64encode(word)[:-4]
            assert len(encoded) < 8 or encoded not in content  # four bytes are there by chance
            assert word.decode().encode("utf-16-le") not in content
        assert b"ada" not in path.name.encode()


def test_people_are_apart(stack: Stack) -> None:
    stack.deliver(MESSAGE, BOB)
    assert fetch_all(stack, ADA) == []
    assert len(fetch_all(stack, BOB)) == 1


def test_aliases_plus_addresses_and_roles_reach_the_person(stack: Stack) -> None:
    for address in (
        "countess@example.com",
        "Ada+Lists@example.com",
        "countess+x@EXAMPLE.com",
        "postmaster@example.org",
        "abuse@mail.example.com",
    ):
        assert stack.deliver(MESSAGE, address) == {}
    assert len(fetch_all(stack)) == 5


def test_the_canary_has_a_mailbox(stack: Stack) -> None:
    assert stack.deliver(MESSAGE, CANARY) == {}
    assert len(fetch_all(stack, CANARY, CANARY_PASSWORD)) == 1

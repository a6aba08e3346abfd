"""Letters of all kinds that clients meet: charsets, encodings, parts, odd headers, long lines."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Letter:
    """A message by its Message-ID; lines end in CRLF."""

    id: str
    raw: bytes = field(repr=False)


def letters(count: int) -> Iterator[Letter]:
    """Yield `count` letters, the kinds in turn, each with an id of its own."""
    for number in range(count):
        identity = f"<letter-{number}@example.org>"
        head = (
            f"From: Sender {number} <sender{number}@example.org>\r\nTo: you@example.com\r\n"
            f"Message-ID: {identity}\r\nDate: Mon, 2 Feb 2026 10:{number % 60:02d}:00 +0000\r\n"
        )
        kind = KINDS[number % len(KINDS)]
        yield Letter(identity, head.encode() + kind(number))


def _plain(number: int) -> bytes:
    return f"Subject: letter {number}\r\n\r\nHello {number}\r\n.\r\n..dots\r\n".encode()


def _encoded_words(number: int) -> bytes:
    return (
        f"Subject: =?utf-8?b?{base64.b64encode(f'Grüße {number} 日本'.encode()).decode()}?=\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
        "MIME-Version: 1.0\r\n\r\nviele Grüße, 日本語\r\n"
    ).encode()


def _eight_bit_header(number: int) -> bytes:
    return f"Subject: déjà vu {number}\r\n\r\nbody\r\n".encode()


def _attachment(number: int) -> bytes:
    data = base64.encodebytes(bytes(range(256)) * (1 + number % 20)).replace(b"\n", b"\r\n")
    return (
        b"Subject: attached\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="cut here"\r\n\r\npreamble\r\n--cut here\r\n'
        b"Content-Type: text/plain\r\n\r\nsee below\r\n--cut here\r\n"
        b"Content-Type: application/octet-stream; name*=utf-8''%C3%A4.bin\r\n"
        b"Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment\r\n\r\n"
        + data
        + b"--cut here--\r\nepilogue\r\n"
    )


def _nested(number: int) -> bytes:
    return (
        f"Subject: forwarded {number}\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n"
        "Subject: inner\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n"
        "--b\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--b--\r\n"
    ).encode()


def _long_lines(number: int) -> bytes:
    return (
        b"Subject: long\r\nX-Long: " + b"x" * 900 + b"\r\n\r\n" + b"y" * (4000 + number) + b"\r\n"
    )


def _no_body(_number: int) -> bytes:
    return b"Subject: nothing in it\r\n\r\n"


def _broken_structure(_number: int) -> bytes:
    return b"Subject: broken\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\nno part at all\r\n"


KINDS = (
    _plain,
    _encoded_words,
    _eight_bit_header,
    _attachment,
    _nested,
    _long_lines,
    _no_body,
    _broken_structure,
)

"""Messages for the tests, each with a mark by which it is found again."""

from __future__ import annotations

import base64
import secrets
from email.utils import formatdate

from firstboot.base.roundtrip import make_message
from tests.stack.people import EXAMPLE


def new_mark() -> str:
    """A word that occurs nowhere else."""
    return secrets.token_hex(16)


def ordinary(mark: str, *, sender: str = "ada@example.com") -> bytes:
    """Complete, with lines that careless software changes (see make_message)."""
    return make_message(sender, EXAMPLE.hostname) + f"{mark}\r\n".encode()


def likely_spam(mark: str) -> bytes:
    """No date, no ID, no recipient, a subject that shouts: each alone would be nothing."""
    lines = [
        "From: WIN <win@example.org>",
        "Reply-To: other@example.net",
        "Subject: MAKE MONEY FAST!!! $$$ FREE",
        "",
        f"Click now {mark}",
        "",
    ]
    return "\r\n".join(lines).encode()


def with_body(mark: str, body: bytes, *, subject: str = "test", encoding: str = "7bit") -> bytes:
    """A text message around `body`, whose lines end in CRLF. UTF-8 where it is not ASCII."""
    lines = [
        "From: Ada <ada@example.com>",
        "To: Grace <grace@example.com>",
        f"Subject: {subject}",
        f"Date: {formatdate()}",
        f"Message-ID: <{mark}@{EXAMPLE.hostname}>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Transfer-Encoding: {encoding}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def attachment(content: bytes) -> bytes:
    """`content` as base64 lines (RFC 2045, 6.8)."""
    return base64.encodebytes(content).replace(b"\n", b"\r\n")

"""PREVIEW: the beginning of what a person reads, of any message."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmaster.message.mime import parse_message
from postmaster.message.preview import (
    PREVIEW_BYTES,
    PREVIEW_CHARACTERS,
    preview_parts,
    preview_text,
)
from tests.unit.postmaster.harness import RawImap, bounded

HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"
ALTERNATIVE = (
    b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n"
    b"<b>rich</b>\r\n--x\r\n\r\n%b\r\n--x--\r\n"
)
MIXED = (
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n"
    b"<b>rich</b>\r\n--x\r\n%b\r\n--x--\r\n"
)
ATTACHED = (
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n%b\r\n--x\r\n"
    b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n--x--\r\n"
)


def preview(raw: bytes) -> str:
    """Return the first preview that is not empty."""
    parts = preview_parts(parse_message(raw))
    found = (preview_text(raw[part.body : part.end][:PREVIEW_BYTES], part) for part in parts)
    return next(filter(None, found), "")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Subject: x\r\n\r\nHello,\r\n\r\n  world\r\n", "Hello, world"),
        (b"Subject: x\r\n\r\n> quoted\r\nanswer > that\r\n", "answer > that"),
        (b"Subject: x\r\n\r\n", ""),
        (HTML + b"<p>Hello,<br>w<b>or</b>ld &amp; <a href='>'>all", "Hello, world & '>all"),
        (HTML + b"<head><title>t</title></head><STYLE>a{}</STYLE>x<!-- y -->z", "x z"),
        (HTML + b"<style>p{<p></style>seen<script>if (a</b) {}</script>", "seen"),
        (HTML + b"<script>if (a</b) {}</script>seen", "seen"),
        (HTML + "&zwnj;&nbsp;&#847;\u200b&shy; Grüße".encode(), "Grüße"),
        (HTML + b"<style>never closed", ""),
        (ALTERNATIVE % b"plain", "plain"),
        (ALTERNATIVE % b" ", "rich"),
        (MIXED % b"\r\nfooter", "rich"),
        (MIXED % b"Content-Type: message/rfc822\r\n\r\n\r\nforwarded", "rich"),
        (b"Content-Disposition: attachment\r\n\r\nno", ""),
        (b"Content-Type: application/pdf\r\n\r\n%PDF", ""),
        (b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(b"abc" * 20), "abc" * 20),
        (b"Content-Type: text/plain; charset=nonsense\r\n\r\n\xff!", "\ufffd!"),
        (b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-x", "?x"),
    ],
)
def test_previews(raw: bytes, text: str) -> None:
    assert preview(raw) == text


@given(
    st.binary() | st.text("<>!-/pstyle &;", max_size=3000).map(lambda text: HTML + text.encode())
)
@bounded
def test_anything_has_a_preview(raw: bytes) -> None:
    text = preview(raw)
    assert len(text) <= PREVIEW_CHARACTERS
    assert text == text.strip()
    text.encode()


@pytest.mark.parametrize("piece", [b"<", b"<style>", b"<!--", b"<a ", b"&", b"</style", b"\n> "])
def test_a_hostile_preview_takes_no_time(piece: bytes) -> None:
    raw = HTML + piece * (PREVIEW_BYTES // len(piece))
    started = time.process_time()
    preview(raw)
    assert time.process_time() - started < 5


def test_preview_over_imap(imap: RawImap) -> None:
    large = b"<style>" + b"p {}\r\n" * 15_000 + b"</style><p>far below"  # kept apart
    file = base64.encodebytes(bytes(range(256)) * 300)
    messages = (
        b"Subject: x\r\n\r\nHello\r\n",
        ATTACHED % (HTML + large, file),
        ATTACHED % (b"\r\nbefore", file),
        ATTACHED[:-9] % (b"Content-Type: image/png\r\n\r\n" + file, file)
        + b"--x\r\n\r\nbehind\r\n--x--",
        "Subject: x\r\n\r\nGrüße\r\n".encode(),
    )
    for message in messages:
        assert imap.append(message).startswith(b"OK")
    imap.ok("SELECT INBOX")
    assert imap.ok("FETCH 1:4 (PREVIEW (LAZY) UID)") == [
        b'* 1 FETCH (PREVIEW "Hello" UID 1)',
        b'* 2 FETCH (PREVIEW "far below" UID 2)',
        b'* 3 FETCH (PREVIEW "before" UID 3)',
        b'* 4 FETCH (PREVIEW "behind" UID 4)',
    ]
    assert imap.ok("FETCH 5 PREVIEW") == ["* 5 FETCH (PREVIEW {7}\r\nGrüße)".encode()]
    (line,) = imap.ok("FETCH 2 (BODY.PEEK[] PREVIEW FLAGS)")
    assert line.startswith(b"* 2 FETCH (BODY[] {%d}\r\n" % len(messages[1]) + messages[1])
    assert line.endswith(b' PREVIEW "far below" FLAGS (\\Recent))')  # nothing is marked as seen
    assert imap.command("FETCH 1 PREVIEW (NOSUCH)")[0].startswith(b"BAD")

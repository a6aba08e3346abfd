"""Nothing is smuggled: one message in is one message out, whatever it contains and however it ends.

The published cases are those of SEC Consult's "SMTP Smuggling" (CVE-2023-51764 for Postfix): what
careless software takes for the end of a message, and what comes behind it for commands.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
from collections.abc import Iterator

import pytest

from firstboot.base.waiting import wait_for
from tests.stack.boxes import Boxes
from tests.stack.elsewhere import Elsewhere, elsewhere
from tests.stack.mail import Mail
from tests.stack.messages import new_mark, ordinary, with_body
from tools.stack.example import ADA

BOB = "bob@example.net"
ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r\n.\r\r\n",
    b"\r.\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n\x00.\n",
    b"\n\x00.\r\n",
]
HIDDEN = b"MAIL FROM:<ada@example.com>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n"


@pytest.fixture(scope="module")
def outside(boxes: Boxes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    with elsewhere(boxes, tmp_path_factory.mktemp("elsewhere")) as found:
        yield found


def open_socket(smtp: smtplib.SMTP) -> socket.socket:
    assert isinstance(smtp.sock, socket.socket)
    return smtp.sock


def begin(smtp: smtplib.SMTP, recipient: str = ADA.address) -> socket.socket:
    """An envelope, before its message; the connection's socket."""
    for command in (f"MAIL FROM:<{ADA.address}>", f"RCPT TO:<{recipient}>"):
        assert smtp.docmd(command)[0] == 250
    return open_socket(smtp)


def answers(smtp: smtplib.SMTP) -> list[int]:
    """The codes of all that is answered until the connection is closed."""
    codes = []
    with contextlib.suppress(smtplib.SMTPServerDisconnected, OSError):
        while True:
            codes.append(smtp.getreply()[0])
    return codes


def require_only(mail: Mail, firsts: list[str], seconds: list[str]) -> None:
    """Once all has been delivered, at most one copy of each of `firsts`, and none of `seconds`."""
    # Mail is delivered in order, and this comes after whatever was taken.
    last = new_mark()
    mail.send(ADA, ADA.address, ordinary(last))
    mail.fetch(ADA, last)
    with mail.imap(ADA) as imap:
        for second in seconds:
            # A message that begins with it, not one that merely contains it.
            assert imap.search(None, "SUBJECT", second)[1] == [b""]
        for first in firsts:
            assert len(imap.search(None, "SUBJECT", first)[1][0].split()) <= 1


@pytest.mark.parametrize("service", ["smtp", "submission"])
def test_no_other_end_of_a_message_counts(mail: Mail, service: str) -> None:
    firsts, seconds = [], []
    with contextlib.ExitStack() as stack:
        smtp = stack.enter_context(
            mail.submission(ADA) if service == "submission" else mail.smtp("smtp")
        )
        for end in ENDS:
            firsts.append(first := new_mark())
            seconds.append(second := new_mark())
            sock = begin(smtp)
            assert smtp.docmd("DATA")[0] == 354
            sock.sendall(
                f"Subject: {first}\r\n\r\nfirst".encode()
                + end
                + HIDDEN
                + f"Subject: {second}\r\n\r\nsecond\r\n.\r\n".encode()
            )
            # One with a line feed by itself is refused.
            bare = re.search(rb"(?<!\r)\n", end) is not None
            assert smtp.getreply()[0] == (550 if bare else 250), end
            # One message was answered, and no command but this.
            assert smtp.docmd("NOOP") == (250, b"2.0.0 Ok"), end
    require_only(mail, firsts, seconds)


def test_a_chunk_is_no_command_and_no_end(mail: Mail) -> None:
    """BDAT (RFC 3030): the sender says how long a chunk is, and all of it is message."""
    first, second = new_mark(), new_mark()
    hidden = HIDDEN + f"Subject: {second}\r\n\r\nsecond\r\n".encode()
    chunk = with_body(first, b"first\r\n.\r\n" + hidden + b".\r\n", subject=first)
    with mail.smtp("smtp") as smtp:
        sock = begin(smtp)
        half = len(chunk) // 2
        sock.sendall(f"BDAT {half}\r\n".encode() + chunk[:half])
        sock.sendall(f"BDAT {len(chunk) - half} LAST\r\n".encode() + chunk[half:] + b"QUIT\r\n")
        assert answers(smtp) == [250, 250, 221]
    delivered = mail.fetch(ADA, first)
    assert delivered.endswith(b"first\r\n.\r\n" + hidden + b".\r\n")
    require_only(mail, [first], [second])


def test_a_refused_chunk_is_no_command_either(mail: Mail) -> None:
    """Pipelined behind a recipient that is refused, as a server may send it (RFC 3030, 4.2)."""
    second = new_mark()
    chunk = HIDDEN + f"Subject: {second}\r\n\r\nsecond\r\n.\r\n".encode()
    with mail.smtp("smtp") as smtp:
        open_socket(smtp).sendall(
            b"MAIL FROM:<stranger@example.org>\r\nRCPT TO:<nobody@example.com>\r\n"
            + f"BDAT {len(chunk)} LAST\r\n".encode()
            + chunk
            + b"QUIT\r\n"
        )
        codes = answers(smtp)
    assert codes[:2] == [250, 550]
    assert codes[2] >= 500
    assert codes[3:] == [221]
    require_only(mail, [], [second])


@pytest.mark.parametrize(
    "command",
    ["BDAT -1 LAST", "BDAT 99999999999999999999 LAST", "BDAT 0x10 LAST", "BDAT", "BDAT 5 FIRST"],
)
def test_chunks_of_no_length(mail: Mail, command: str) -> None:
    with mail.smtp("smtp") as smtp:
        begin(smtp)
        assert smtp.docmd(command)[0] >= 500


def test_a_bare_line_feed_in_a_chunk_is_refused(mail: Mail) -> None:
    first, second = new_mark(), new_mark()
    chunk = f"Subject: {first}\r\n\r\nfirst\n.\n".encode() + HIDDEN
    chunk += f"Subject: {second}\r\n\r\nsecond\r\n".encode()
    with mail.smtp("smtp") as smtp:
        sock = begin(smtp)
        sock.sendall(f"BDAT {len(chunk)} LAST\r\n".encode() + chunk + b"QUIT\r\n")
        assert answers(smtp) == [550, 221]
    require_only(mail, [first], [second])


def test_who_does_not_wait_for_answers_is_refused(mail: Mail) -> None:
    """Commands behind DATA, before the server has agreed to one, as bulk senders do."""
    mark = new_mark()
    with mail.smtp("smtp") as smtp:
        smtp.docmd("HELO client.example.org")
        open_socket(smtp).sendall(
            b"MAIL FROM:<stranger@example.org>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n"
            + f"Subject: {mark}\r\n\r\nx\r\n.\r\nQUIT\r\n".encode()
        )
        assert 554 in answers(smtp)
    require_only(mail, [], [mark])


@pytest.mark.parametrize("service", ["smtp", "submission"])
@pytest.mark.parametrize("size", [5_000, 2_000_000], ids=["long", "endless"])
def test_oversized_commands(mail: Mail, boxes: Boxes, service: str, size: int) -> None:
    """They are cut off or refused, cost no memory, and what they contain is no command."""
    with mail.smtp(service) as smtp:
        sock = open_socket(smtp)
        with contextlib.suppress(OSError):
            sock.sendall(b"MAIL FROM:<" + b"a" * size + b"@example.org>\r\nQUIT\r\n")
        codes = answers(smtp)
    assert codes, "the server has ended"
    assert codes[0] >= 500
    assert set(codes[1:]) <= {221}
    stats = boxes.api.stats(boxes.ids["mta"], stream=False)
    assert stats["memory_stats"]["usage"] < 128 << 20


def test_what_leaves_has_no_bare_line_ends(mail: Mail, outside: Elsewhere) -> None:
    """From a person, to a server that might take any of ENDS for an end: none gets there."""
    first, second = new_mark(), new_mark()
    hidden = HIDDEN + f"Subject: {second}\r\n\r\nsecond\r\n".encode()
    # A line of a dot, as it has to be sent, and carriage returns wherever they can be.
    body = b"a\r.\rb\r\n..\r\n" + hidden + b"..\r\r\nc\r.\r\r\n"
    with mail.submission(ADA) as smtp:
        sock = begin(smtp, BOB)
        assert smtp.docmd("DATA")[0] == 354
        sock.sendall(with_body(first, body, subject=first) + b".\r\nQUIT\r\n")
        assert answers(smtp) == [250, 221]
    session = wait_for(
        lambda: outside.find(first), what="the message elsewhere", timeout=240, interval=0.2
    )
    assert re.search(rb"(?<!\r)\n|\r(?!\n)|\x00", session) is None
    # One message, which ends where it ends; a line of its own dot is doubled (RFC 5321, 4.5.2).
    assert session.count(b"\r\n.\r\n") == 1
    assert session.endswith(b"\r\n.\r\n")
    assert b"\r\n..\r\nMAIL FROM:<ada@example.com>\r\n" in session
    assert len(re.findall(rb"(?m)^DATA\r\n", session.partition(first.encode())[0])) == 1


def test_a_temporary_failure_is_tried_again(mail: Mail, boxes: Boxes, outside: Elsewhere) -> None:
    mark = new_mark()
    outside.refusals.append("451 4.3.2 come back later")
    mail.send(ADA, BOB, ordinary(mark))
    wait_for(
        lambda: "come back later" in boxes.run("mta", "postqueue", "-j")[1],
        what="a message that waits",
        timeout=240,
        interval=0.2,
    )
    assert outside.find(mark) is None
    assert outside.refusals == []
    # Postfix would do so by itself after a minute.
    assert boxes.run("mta", "postqueue", "-f")[0] == 0
    wait_for(lambda: outside.find(mark), what="the second try", timeout=240, interval=0.2)
    wait_for(lambda: boxes.queue() == 0, what="an empty queue", timeout=240, interval=0.2)


def test_a_bounce_tells_its_sender_why(mail: Mail, outside: Elsewhere) -> None:
    """A report as programs read it (RFC 3464), from nobody (RFC 5321, 4.5.5)."""
    mark = new_mark()
    outside.refusals.append("550 5.1.1 there is no Bob")
    mail.send(ADA, BOB, ordinary(mark))
    bounce = mail.fetch(ADA, mark)
    assert bounce.startswith(b"Return-Path: <>\r\n")
    assert b"Content-Type: multipart/report; report-type=delivery-status" in bounce
    assert b"Final-Recipient: rfc822; bob@example.net\r\n" in bounce
    assert b"Action: failed\r\nStatus: 5.1.1\r\n" in bounce
    assert b"Diagnostic-Code: smtp; 550 5.1.1 there is no Bob\r\n" in bounce
    assert outside.find(mark) is None


def test_no_backscatter(mail: Mail, boxes: Boxes, outside: Elsewhere) -> None:
    """What cannot be delivered is refused to who is connected: nobody else gets a report."""
    before = len(outside.sessions)
    with mail.smtp("smtp") as smtp:
        refused = smtp.sendmail(BOB, [ADA.address, "nobody@example.com"], ordinary(new_mark()))
    assert [code for code, _ in refused.values()] == [550]
    wait_for(lambda: boxes.queue() == 0, what="an empty queue", timeout=240, interval=0.2)
    assert len(outside.sessions) == before

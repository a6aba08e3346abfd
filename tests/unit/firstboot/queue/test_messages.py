"""What Postfix lists, read; `postqueue.jsonl` is what Postfix 3.10 said."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstboot.queue.messages import Message, QueueError, Recipient, parse_messages
from firstboot.queue.showing import as_plain, message_lines, summary_line, title_line
from firstboot.queue.spool import pick

REAL = Path(__file__).with_name("postqueue.jsonl").read_bytes()
REFUSED = (
    "SASL authentication failed; server smtp.example.net[127.0.0.1] said: 535 5.7.8 Error: "
    "authentication failed: (reason unavailable)"
)


def test_what_postfix_says() -> None:
    found = parse_messages(REAL)
    assert len(found) == 7
    assert [message.arrived for message in found] == sorted(message.arrived for message in found)
    by_id = {message.id: message for message in found}
    assert by_id["5271E2120E4"] == Message(
        id="5271E2120E4",
        queue="deferred",
        arrived=1796065189,
        size=321,
        sender="ada@example.com",
        recipients=(Recipient("eve@example.org", REFUSED),),
    )
    held = by_id["C9D95212C11"]
    assert (held.is_held, held.recipients) == (True, (Recipient("bob@example.org", ""),))
    # Listed twice, since it was put aside meanwhile: it is where it was seen last.
    assert by_id["245C9212114"].is_held


def test_an_empty_queue() -> None:
    assert parse_messages(b"") == ()
    assert "nothing waits" in summary_line(())


def test_a_warning_is_no_message() -> None:
    warning = b"postqueue: warning: Mail system is down -- accessing queue directly\n"
    assert parse_messages(warning + REAL) == parse_messages(REAL)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"null",
        b'{"queue_id": "A"}',
        b"fatal: x",
        REAL.splitlines()[0].replace(b"531", b'"x"'),
    ],
)
def test_anything_else_is_an_error(line: bytes) -> None:
    with pytest.raises(QueueError, match="the queue cannot be read"):
        parse_messages(REAL + line + b"\n")


def test_bytes_that_are_no_text_do_not_end_it() -> None:
    strange = REAL.replace(b"eve@example.org", b"e\xff\xe9@example.org")
    assert len(parse_messages(strange)) == 7


def test_nothing_that_others_wrote_reaches_the_terminal_as_a_command() -> None:
    strange = REAL.replace(b"Error: authentication", rb"\u001b[2J\u202e\r\nauthentication")
    text = "".join(line for one in parse_messages(strange) for line in message_lines(one))
    assert "[2J" in text
    assert text.isprintable()


def test_lines_for_people() -> None:
    by_id = {message.id: message for message in parse_messages(REAL)}
    assert list(message_lines(by_id["5271E2120E4"])) == [
        "5271E2120E4  waits, since 2026-11-30 18:59 UTC, 0.3 KiB, from ada@example.com",
        "  to eve@example.org: The smart host does not take the login.",
        "    Set relay.username and relay.password in the settings as its owner says.",
        f"    ({REFUSED})",
    ]
    assert list(message_lines(by_id["C9D95212C11"])) == [
        "C9D95212C11  is held, since 2026-11-30 18:59 UTC, 0.5 KiB, from ada@example.com",
        "  to bob@example.org: It is on its way.",
    ]
    assert summary_line(tuple(by_id.values())) == "7 messages, 2 of them held"


def test_who_has_the_same_reason_stands_together() -> None:
    said = "host mx.example.org[192.0.2.1] said: 452 4.2.2 over quota (in reply to RCPT TO command)"
    recipients = (Recipient("a@x.org", said), Recipient("b@x.org", "lost connection with x"))
    message = Message(
        "A1", "active", 0, 3 << 20, "MAILER-DAEMON", (*recipients, Recipient("c@x.org", said))
    )
    lines = list(message_lines(message))
    assert lines[0] == title_line(message)
    assert lines[0].endswith("3.0 MiB, from this machine (a report)")
    assert lines[1] == "  to a@x.org, c@x.org: The recipient's mailbox is full."
    assert len([line for line in lines if line.startswith("  to ")]) == 2
    shown = as_plain(message)
    assert [each["address"] for each in shown["recipients"]] == ["a@x.org", "b@x.org", "c@x.org"]
    assert shown["recipients"][1]["reason"] == "The connection to the other server broke."


def test_what_is_picked_is_there() -> None:
    found = parse_messages(REAL)
    assert [one.id for one in pick(found, ("5271E2120E4", "5271E2120E4"))] == ["5271E2120E4"]
    for strange in ("ALL", "-", "-d", "5271e2120e4", "", "5271E2120E4 ALL"):
        with pytest.raises(QueueError, match="there is no message"):
            pick(found, ("5271E2120E4", strange))

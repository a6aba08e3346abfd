"""What became of a message, from the lines that Postfix and Rspamd log about it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from click.testing import CliRunner

from firstboot.base.engine import Container
from firstboot.base.errors import CommandError
from firstboot.queue import log_commands, maillog
from firstboot.queue.maillog import EngineLog, JournalLog, find_stories
from firstboot.queue.stories import Logged, Story, parse_fate, read_stories
from firstboot.queue.telling import matches, story_json, story_lines, tell
from tests.unit.firstboot.conftest import FakePrograms

INBOUND = """
smtpd[101]: connect from mx.example.org[192.0.2.7]
smtpd[101]: 4bYx1Q2dzJz1: client=mx.example.org[192.0.2.7]
cleanup[102]: 4bYx1Q2dzJz1: message-id=<a@example.org>
qmgr[90]: 4bYx1Q2dzJz1: from=<eve@example.org>, size=1234, nrcpt=2 (queue active)
lmtp[103]: 4bYx1Q2dzJz1: to=<ada@example.com>, orig_to=<countess@example.com>, \
relay=mailstore[172.18.0.4]:24, delay=0.3, delays=0.2/0/0/0.1, dsn=2.0.0, status=sent \
(250 2.0.0 Delivered to Junk)
lmtp[103]: 4bYx1Q2dzJz1: to=<bob@example.com>, relay=mailstore[172.18.0.4]:24, delay=0.3, \
delays=0.2/0/0/0.1, dsn=4.2.2, status=deferred (host mailstore[172.18.0.4] said: 452 4.2.2 The \
mailbox is full, try again later (in reply to end of DATA command))
lmtp[104]: 4bYx1Q2dzJz1: to=<bob@example.com>, relay=mailstore[172.18.0.4]:24, delay=99, \
delays=99/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 Delivered)
qmgr[90]: 4bYx1Q2dzJz1: removed
"""
RSPAMD = (
    "2026-11-30 23:10:49 #16(rspamd_proxy) <e6dd2a>; proxy; rspamd_task_write_log: id: "
    "<a@example.org>, qid: <4bYx1Q2dzJz1>, ip: 192.0.2.7, add header, score: [7.30/15.00] "
    "[SUBJ_ALL_CAPS(2.10){8;},MISSING_TO(2.00){},R_SPF_ALLOW(-0.20){+mx;}], len: 1234, time: 3ms, "
    "dns: 4"
)
OUTBOUND = """
submission/smtpd[7]: 3aAAAAAA1: client=unknown, sasl_method=PLAIN, sasl_username=ada@example.com
qmgr[90]: 3aAAAAAA1: from=<ada@example.com>, size=500, nrcpt=1 (queue active)
sign/smtp[8]: 3aAAAAAA1: to=<bob@example.net>, relay=127.0.0.1[127.0.0.1]:10026, delay=0.1, \
delays=0/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 3bBBBBBB2)
signing/smtpd[9]: 3bBBBBBB2: client=localhost[127.0.0.1]
qmgr[90]: 3bBBBBBB2: from=<ada@example.com>, size=900, nrcpt=1 (queue active)
smtp[10]: 3bBBBBBB2: to=<bob@example.net>, relay=mx.example.net[198.51.100.1]:25, delay=1, \
delays=0/0/1/0, dsn=5.1.1, status=bounced (host mx.example.net[198.51.100.1] said: 550 5.1.1 \
<bob@example.net>: Recipient address rejected: User unknown (in reply to RCPT TO command))
bounce[11]: 3bBBBBBB2: sender non-delivery notification: 3cCCCCCC3
"""
REFUSED = """
smtpd[5]: NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 454 4.7.1 <x@far.example>: Relay access \
denied; from=<spam@example.org> to=<x@far.example> proto=ESMTP helo=<pc>
smtpd[5]: NOQUEUE: reject: RCPT from mx.example.org[2001:db8::7]: 550 5.1.1 <nobody@example.com>: \
Recipient address rejected: User unknown in virtual mailbox table; from=<eve@example.org> \
to=<nobody@example.com> proto=ESMTP helo=<mx.example.org>
cleanup[6]: 2aAAAAAA1: milter-reject: END-OF-MESSAGE from mx.example.org[192.0.2.7]: 5.7.1 This \
message looks like spam; from=<win@example.org> to=<ada@example.com> proto=ESMTP helo=<x>
"""
DISCARDED = """
forwarding/smtpd[7]: 5dAAAAAA1: client=localhost[127.0.0.1]
cleanup[8]: 5dAAAAAA1: discard: header X-Spam: Yes from localhost[127.0.0.1]; \
from=<win@example.org> to=<ada@far.example> proto=ESMTP helo=<mail>: spam is not forwarded
"""


def logged(*texts: str) -> list[Logged]:
    lines = [
        line if "rspamd" in line else f"Nov 30 23:10:01 mail postfix/{line}"
        for text in texts
        for line in text.splitlines()
        if line
    ]
    return [Logged(f"2026-11-30T23:10:{n:02}Z", line) for n, line in enumerate(lines)]


def told(story: Story) -> list[str]:
    return [f"{fate.address}: {tell(fate).text}" for fate in story.fates]


def test_a_message_that_came_in() -> None:
    (story,) = read_stories(logged(INBOUND, RSPAMD))
    assert (story.sender, story.client, story.size) == (
        "eve@example.org",
        "mx.example.org[192.0.2.7]",
        1234,
    )
    assert told(story) == ["ada@example.com: It is in Junk.", "bob@example.com: It was delivered."]
    assert story.fates[0].asked == "countess@example.com"
    assert story.verdict is not None
    assert (story.verdict.score, story.verdict.action) == (7.3, "add header")
    assert story.verdict.because == ("SUBJ_ALL_CAPS 2.1", "MISSING_TO 2")


def test_what_waits_says_why() -> None:
    lines = logged(INBOUND)
    (story,) = read_stories(lines[:-2])
    assert told(story)[1] == (
        "bob@example.com: It waits in the queue: The mailbox has reached its quota."
    )
    text = "\n".join(story_lines(story))
    assert "Raise the quota" in text
    assert "452 4.2.2" in text


def test_a_message_that_was_signed_is_one_story() -> None:
    (story,) = read_stories(logged(OUTBOUND))
    assert story.ids == ("3aAAAAAA1", "3bBBBBBB2")
    assert (story.sender, story.client) == ("ada@example.com", "ada@example.com")
    (fate,) = told(story)
    assert fate.startswith("bob@example.net: It was given up, and its sender has a report: ")
    assert tell(story.fates[0]).outcome == "given-up"


def test_what_was_refused_says_why() -> None:
    relay, unknown, spam = read_stories(logged(REFUSED))
    assert (relay.ids, relay.client) == ((), "unknown[203.0.113.9]")
    assert "passes on nothing" in told(relay)[0]
    assert unknown.client == "mx.example.org[2001:db8::7]"
    assert told(unknown) == ["nobody@example.com: It was refused. Nobody here has this address."]
    assert (spam.ids, spam.sender) == (("2aAAAAAA1",), "win@example.org")
    assert "spam" in told(spam)[0]


def test_spam_that_is_not_forwarded_ends_here() -> None:
    (story,) = read_stories(logged(DISCARDED))
    assert (story.sender, told(story)) == (
        "win@example.org",
        ["ada@far.example: It ends here: spam is not forwarded."],
    )


def test_what_waited_for_too_long_was_given_up() -> None:
    line = "qmgr[90]: 4bYx1Q2dzJz1: from=<eve@example.org>, status=expired, returned to sender\n"
    waiting = "\n".join(INBOUND.splitlines()[:-2])
    (story,) = read_stories(logged(waiting, line))
    assert [fate.status for fate in story.fates] == ["expired", "expired"]
    assert "waited for too long" in told(story)[1]
    assert not any("tried again" in line for line in story_lines(story))


@pytest.mark.parametrize(
    ("sender", "recipient", "found"),
    [
        ("", "", True),
        ("EVE@", "", True),
        ("", "ada@", True),
        ("", "countess", True),
        ("eve", "bob@example.com", True),
        ("ada", "", False),
        ("eve", "grace", False),
    ],
)
def test_search(sender: str, recipient: str, found: bool) -> None:
    (story,) = read_stories(logged(INBOUND))
    assert matches(story, sender, recipient) is found


@pytest.mark.parametrize(
    "line",
    [
        "",
        "postfix/",
        "postfix/smtpd[1]: 4bYx1Q2dzJz1: to=<a",
        "postfix/smtpd[1]: NOQUEUE: reject: RCPT",
        "postfix/qmgr[1]: 4bYx1Q2dzJz1: from=<>, status=expired, returned",
        "postfix/sign/smtp[1]: 4bYx1Q2dzJz1: to=<a>, relay=127.0.0.1[127.0.0.1]:10026, "
        "status=sent (250 ok: queued as 4bYx1Q2dzJz1)",
        "qid: <4bYx1Q2dzJz1>, no action, score: [1/1] [], len:",
    ],
)
def test_odd_lines_do_no_harm(line: str) -> None:
    for story in read_stories([Logged("t", line)] * 2):
        assert list(story_lines(story))
        json.dumps(story_json(story))


FORGED = (
    "postfix/smtp[1]: 4bYx1Q2dzJz1: to=<ada@example.com>, relay=mailstore[192.0.2.1]:24, delay=1, "
    "status=sent (250 2.0.0 Delivered)"
)
UNKNOWN = (
    "postfix/x[1]: NOQUEUE: reject: RCPT from b[1]: 550 no; from=<a@b.example> to=<c@d.example> "
)
OF_RSPAMD = "2026-11-30 23:10:49 #16(rspamd_proxy) <e6dd2a>; task; rspamd_task_write_log: id: <"


@pytest.mark.parametrize(
    "line",
    [
        f"{OF_RSPAMD}{UNKNOWN}>, qid: <5cAAAAAA1>, no action, score: [0/15] [], len: 1",
        f"Nov 30 23:10:01 mail postfix/cleanup[102]: 5cAAAAAA1: message-id=<{FORGED}",
        f"2026-11-30 23:10:49 #16(rspamd_proxy) <e6dd2a>; lua; odd.lua:7: {FORGED}",
    ],
    ids=["rspamd", "message-id", "odd"],
)
def test_a_stranger_cannot_write_what_became_of_mail(line: str) -> None:
    assert parse_fate(Logged("t", line)) is None
    assert read_stories([Logged("t", line)]) == ()


def test_a_stranger_cannot_write_what_the_filter_found() -> None:
    forged = f"{OF_RSPAMD}x>, qid: <4bYx1Q2dzJz1>, no action, score: [-9/15] [FINE(-9.00)], len: 1"
    line = f"{forged}>, qid: <5cAAAAAA1>, ip: 192.0.2.7, reject, score: [20/15] [BAD(20)], len: 1"
    (story,) = read_stories([*logged(INBOUND), Logged("t", line)])
    assert story.verdict is None


@pytest.mark.parametrize(
    "line",
    [
        f"postfix/smtpd[5]: NOQUEUE: reject: RCPT from x[1]: 550 <{' from x: ; from=<' * 400}",
        f"postfix/smtpd[5]: NOQUEUE: reject: RCPT from x[1]: 550 {'; from=<>x' * 600}",
        f"postfix/smtp[5]: 4bYx1Q2dzJz1: to=<a>, relay=b, {' status=a (' * 600}",
        f"postfix/cleanup[8]: 5dAAAAAA1: discard: {'; from=<>>: ' * 500}<",
        f"{OF_RSPAMD}{'>, qid: <ABCDEF>, a, score: [1/1] [' * 220}",
    ],
    ids=["refusal", "sender", "delivery", "discard", "rspamd"],
)
def test_what_strangers_write_costs_no_time(line: str) -> None:
    def cost() -> float:
        began = time.thread_time()
        read_stories([Logged("t", line)])
        return time.thread_time() - began

    # At one time Python may clear away what thousands of tests have left.
    assert min(cost() for _ in range(3)) < 0.5


def entry(number: int, message: str, container: str = "mta") -> str:
    """A line of the journal as journalctl prints it."""
    return json.dumps(
        {
            "__REALTIME_TIMESTAMP": str(1_796_080_201_000_000 + number * 1_000_000),
            "CONTAINER_NAME": f"mailstead-{container}-1",
            "MESSAGE": message,
        }
    )


def journal(programs: FakePrograms, *texts: str) -> None:
    """A journalctl that prints these lines."""
    path = programs.directory / "journal"
    lines = [entry(number, one.message) for number, one in enumerate(logged(*texts))]
    path.write_text("".join(f"{line}\n" for line in lines))
    programs.add("journalctl", f"cat {path}")


def search(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(log_commands.log, ["search", *words])
    return done.exit_code, done.output


def test_command(programs: FakePrograms) -> None:
    journal(programs, INBOUND)
    code, out = search("--to", "countess", "--since", "2026-11-30")
    assert code == 0
    assert "  to ada@example.com (as countess@example.com): It is in Junk.\n" in out
    assert "--since=@1795996800" in programs.calls[0]
    assert "CONTAINER_NAME=mailstead-rspamd-1" in programs.calls[0]
    code, out = search("--from", "eve@", "--json")
    found: dict[str, Any] = json.loads(out)
    assert [one["reason"] for one in found["messages"][0]["recipients"]] == [
        "It is in Junk.",
        "It was delivered.",
    ]
    assert [one["outcome"] for one in found["messages"][0]["recipients"]] == ["junk", "delivered"]
    assert "never brought here" in search("--to", "nobody")[1]


def test_a_log_that_cannot_be_read_is_no_empty_one(programs: FakePrograms) -> None:
    programs.add("journalctl", "echo 'no such journal' >&2; exit 1")
    with pytest.raises(CommandError, match="no such journal"):
        find_stories(JournalLog(), 0, "", "")


def test_only_lines_with_these_words_and_where_the_log_begins(programs: FakePrograms) -> None:
    journal(programs, INBOUND, OUTBOUND)
    found: list[Logged] = []
    log = JournalLog()
    log.scan(7, found.append, words=("status=bounced", "status=deferred"), lines=10)
    assert len(found) == 2
    assert {"--since=@7", "--lines=10"} <= set(programs.calls[0])
    assert log.begins() == "2026-11-30T23:10:01Z"
    assert "--lines=+1" in programs.calls[1]
    journal(programs)
    assert log.begins() == ""


def test_a_search_that_was_cut_says_from_where(
    programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(programs, INBOUND)
    monkeypatch.setattr(JournalLog, "begins", lambda _log: "earlier")
    assert find_stories(JournalLog(), 0, "", "").begins == "earlier"
    monkeypatch.setattr(maillog, "MOST_LINES", len(logged(INBOUND)))
    assert find_stories(JournalLog(), 0, "", "").begins == "2026-11-30T23:10:01Z"


class SmallEngine:
    """An engine whose containers have logged these lines."""

    def __init__(self, **lines: str) -> None:
        self.lines = lines

    def containers(self, _project: str) -> tuple[Container, ...]:
        return tuple(Container(name, name, "", "", "running", "", 0, 0) for name in self.lines)

    def logs_since(self, container: Container, since: int) -> str:
        assert since in {0, 7}
        return self.lines[container.service]


def test_without_a_machine_it_is_the_engines_log() -> None:
    engine = SmallEngine(
        mta="2026-11-30T23:10:01.5Z a\n2026-11-30T23:10:03.5Z c\x1b[2J\nodd\n",
        rspamd="2026-11-30T23:10:02.5Z b\n",
        admin="2026-11-30T23:10:02.5Z no mail\n",
    )
    found: list[Logged] = []
    log = EngineLog(engine)  # type: ignore[arg-type]
    log.scan(7, found.append, lines=2)
    assert found == [("2026-11-30T23:10:02Z", "b"), ("2026-11-30T23:10:03Z", "c [2J")]
    log.scan(7, found.append, words=("a", "c"))
    assert [line.message for line in found[2:]] == ["a", "c [2J"]
    assert log.begins() == "2026-11-30T23:10:01Z"


@pytest.mark.parametrize("since", ["", "7", "7w", "-1d", "2026-13-01", "tomorrow", "9" * 9 + "d"])
def test_a_wrong_time_is_refused(programs: FakePrograms, since: str) -> None:
    code, out = search("--since", since)
    assert (code, programs.calls) == (2, [])
    assert "expected such as 90m" in out

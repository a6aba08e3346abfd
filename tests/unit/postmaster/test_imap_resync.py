"""QRESYNC: a client that was away hears all that it missed, and nothing else."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from postmaster.imap.grammar import Parser
from postmaster.imap.resync import Resync, SelectParameters, parse_select_parameters
from postmaster.imap.sequence import SequenceSet
from tests.unit.postmaster.harness import RawImap

Connect = Callable[[str | None], RawImap]

PLAIN = b"Subject: one\r\n\r\nHello\r\n"


class Cache:
    """What a client keeps of a folder while it is away."""

    def __init__(self) -> None:
        self.uidvalidity = 0
        self.modseq = 0
        self.flags: dict[int, frozenset[bytes]] = {}

    def hear(self, lines: list[bytes]) -> None:
        """Take in responses, as RFC 7162 has a client do it."""
        for line in lines:
            if match := re.match(rb"\* OK \[UIDVALIDITY (\d+)\]", line):
                self.uidvalidity = int(match.group(1))
            elif match := re.match(rb"\* OK \[HIGHESTMODSEQ (\d+)\]", line):
                self.modseq = int(match.group(1))
            elif match := re.match(rb"\* VANISHED (?:\(EARLIER\) )?([\d:,]+)", line):
                for uid in uids(match.group(1)):
                    self.flags.pop(uid, None)
            elif match := re.match(rb"\* \d+ FETCH \(UID (\d+) FLAGS \((.*?)\)", line):
                self.flags[int(match.group(1))] = frozenset(match.group(2).split()) - {b"\\Recent"}

    def select(self, known: str = "") -> str:
        """Return the command that asks for what is new."""
        return f"SELECT INBOX (QRESYNC ({self.uidvalidity} {self.modseq}{known}))"


def uids(text: bytes) -> list[int]:
    """Return the UIDs of a set."""
    found: list[int] = []
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        found += range(int(low), int(high or low) + 1)
    return found


@pytest.fixture
def inbox(imap: RawImap) -> RawImap:
    """A client with five messages in its selected inbox, for which QRESYNC is enabled."""
    for _ in range(5):
        imap.append(PLAIN)
    assert imap.ok("ENABLE QRESYNC") == [b"* ENABLED QRESYNC"]
    imap.ok("SELECT INBOX")
    return imap


def test_what_was_missed(inbox: RawImap, connect: Connect, person: str) -> None:
    cache = Cache()
    cache.hear(inbox.ok("UID FETCH 1:* FLAGS"))
    cache.hear(inbox.ok("EXAMINE INBOX"))
    inbox.ok("UNSELECT")
    other = connect(person)
    other.ok("SELECT INBOX")
    other.ok(r"STORE 1,5 +FLAGS.SILENT (\Flagged)")
    other.ok(r"STORE 2:3 +FLAGS.SILENT (\Deleted)")
    other.ok("EXPUNGE")
    other.append(PLAIN)
    lines = inbox.ok(cache.select())
    modseqs = re.findall(
        rb"FETCH \(UID (\d+) FLAGS \(([^)]*)\) MODSEQ \(\d+\)\)", b"\n".join(lines)
    )
    assert b"* VANISHED (EARLIER) 2:3" in lines
    assert [int(uid) for uid, _ in modseqs] == [1, 5, 6]
    assert lines[0] == b"* FLAGS (\\Answered \\Deleted \\Draft \\Flagged \\Seen)"
    assert [line for line in lines if line.endswith(b"EXISTS")] == [b"* 4 EXISTS"]
    # Of some UIDs only; the match data are for servers that forget.
    lines = inbox.ok(cache.select(" 3:5 (1,3 1,3)"))
    assert lines[0] == b"* OK [CLOSED] left"
    assert b"* VANISHED (EARLIER) 3" in lines
    (fetched,) = (line for line in lines if b" FETCH " in line)
    assert fetched.startswith(b"* 3 FETCH (UID 5 ")
    lines = inbox.ok(cache.select(" (1,3 1,3)"))
    assert b"* VANISHED (EARLIER) 2:3" in lines
    # Another folder of that name, as far as the client knows.
    cache.uidvalidity += 1
    assert not [one for one in inbox.ok(cache.select()) if b"VANISHED" in one or b" FETCH " in one]


def test_news_are_told_by_uid(inbox: RawImap, connect: Connect, person: str) -> None:
    other = connect(person)
    other.ok("SELECT INBOX")
    other.ok(r"STORE 2,4:5 +FLAGS.SILENT (\Deleted)")
    other.ok("UID EXPUNGE 2")
    assert b"* VANISHED 2" not in inbox.ok("FETCH 1 FLAGS")  # it uses sequence numbers
    assert b"* VANISHED 2" in inbox.ok("NOOP")
    assert inbox.ok("FETCH 2 UID") == [b"* 2 FETCH (UID 3)"]
    answer, lines = inbox.command("EXPUNGE")
    assert lines == [b"* VANISHED 4:5"]
    told = re.match(rb"OK \[HIGHESTMODSEQ (\d+)\]", answer)
    assert told, answer
    (status,) = inbox.ok("STATUS INBOX (HIGHESTMODSEQ)")
    assert status == b'* STATUS "INBOX" (HIGHESTMODSEQ %b)' % told.group(1)
    assert inbox.command("EXPUNGE")[0] == b"OK expunged"
    answer, lines = inbox.command("UID MOVE 3 Archive")
    assert answer.startswith(b"OK [HIGHESTMODSEQ ")
    assert lines[0].startswith(b"* OK [COPYUID ")
    assert lines[1:] == [b"* VANISHED 3"]
    assert other.ok("NOOP").count(b"* 2 EXPUNGE") == 1  # who has not asked for it hears numbers


def test_a_highest_modseq_is_of_what_was_told_of_the_folder(
    imap: RawImap, connect: Connect, person: str
) -> None:
    for _ in range(3):
        imap.append(PLAIN)
    waiting, told = connect(person), connect(person)
    for client in (imap, waiting, told):
        client.ok("SELECT INBOX")
    (before,) = imap.ok("STATUS INBOX (HIGHESTMODSEQ)")[-1:]
    imap.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)")
    imap.ok("EXPUNGE")
    imap.ok("COPY 1 Archive")  # a change elsewhere
    (after,) = imap.ok("STATUS INBOX (HIGHESTMODSEQ)")[-1:]
    assert point([after]) > point([before])
    told.ok("NOOP")
    assert point(told.ok("ENABLE CONDSTORE")) == point([after])
    waiting.ok("FETCH 1 FLAGS")  # this may not tell it what is gone
    waiting.ok(r"STORE 1 +FLAGS (\Seen)")
    enabled = waiting.ok("FETCH 1 (MODSEQ)")
    assert 0 < point(enabled) < point([after]), enabled


def point(lines: list[bytes]) -> int:
    """Return the HIGHESTMODSEQ that is among responses, 0 without one."""
    found = re.search(rb"HIGHESTMODSEQ (\d+)", b"\n".join(lines))
    return int(found.group(1)) if found else 0


@pytest.mark.parametrize(
    "command", ["UID SEARCH %s", "UID SORT (SIZE) UTF-8 %s", "UID THREAD REFERENCES UTF-8 %s"]
)
def test_no_number_changes_its_meaning_in_a_search_by_it(
    inbox: RawImap, connect: Connect, person: str, command: str
) -> None:
    other = connect(person)
    other.ok("SELECT INBOX")
    other.ok(r"STORE 2 +FLAGS.SILENT (\Deleted)")
    other.ok("EXPUNGE")
    for criteria in ("1", "NOT 1:2", "OR UNSEEN (3 4)"):
        assert b"* VANISHED 2" not in inbox.ok(command % criteria)
    assert b"* VANISHED 2" in inbox.ok(command % "UID 1:*")


def test_fetch_tells_what_vanished(inbox: RawImap) -> None:
    inbox.ok(r"STORE 2:3 +FLAGS.SILENT (\Deleted)")
    inbox.ok("EXPUNGE")
    (line,) = inbox.ok("UID FETCH 1:4 (FLAGS) (CHANGEDSINCE 999999 VANISHED)") or [b""]
    assert line == b""
    lines = inbox.ok("UID FETCH 1:2 (UID) (CHANGEDSINCE 1 VANISHED)")
    assert lines[0] == b"* VANISHED (EARLIER) 2"
    assert [line.split()[1] for line in lines[1:]] == [b"1"]
    inbox.ok(r"STORE 1:* +FLAGS.SILENT (\Deleted)")
    inbox.ok("EXPUNGE")
    assert inbox.ok("UID FETCH 1:* FLAGS (VANISHED CHANGEDSINCE 1)") == [
        b"* VANISHED (EARLIER) 1:5"
    ]
    for wrong in (
        "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 1 FLAGS (VANISHED)",
        "UID FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 1)",
        "UID FETCH 1 FLAGS (VANISHED CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 1 FLAGS (CHANGEDSINCE 1 NOSUCH)",
    ):
        assert inbox.command(wrong)[0].startswith(b"BAD")


def test_it_has_to_be_enabled(imap: RawImap) -> None:
    imap.append(PLAIN)
    assert imap.command("SELECT INBOX (QRESYNC (1 1))")[0].startswith(b"BAD")
    imap.ok("SELECT INBOX")
    assert imap.command("UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)")[0].startswith(b"BAD")
    imap.ok(r"STORE 1 +FLAGS.SILENT (\Deleted)")
    assert imap.command("EXPUNGE") == (b"OK expunged", [b"* 1 EXPUNGE"])
    imap.append(PLAIN)
    imap.ok("NOOP")
    # In a selected folder, too; and it brings CONDSTORE.
    lines = imap.ok("ENABLE QRESYNC")
    assert lines[0] == b"* ENABLED QRESYNC"
    assert lines[1].startswith(b"* OK [HIGHESTMODSEQ ")
    assert b"MODSEQ" in imap.ok(r"STORE 1 +FLAGS (\Deleted)")[0]
    assert imap.command("EXPUNGE")[1] == [b"* VANISHED 2"]
    assert imap.ok("ENABLE CONDSTORE QRESYNC") == [b"* ENABLED"]


@pytest.mark.parametrize(
    "parameters",
    [
        " ()",
        " (NOSUCH)",
        " (CONDSTORE CONDSTORE)",
        " (QRESYNC)",
        " (QRESYNC 1 1)",
        " (QRESYNC ())",
        " (QRESYNC (1))",
        " (QRESYNC (1 1",
        " (QRESYNC (1 1) QRESYNC (1 1))",
        " (QRESYNC (99999999999 1))",
        " (QRESYNC (1 9223372036854775808))",
        " (QRESYNC (1 1 $))",
        " (QRESYNC (1 1 1:2 3:4))",
        " (QRESYNC (1 1 (1)))",
        " (QRESYNC (1 1 1:2 (1 1) 5))",
        " (QRESYNC (1 1 " + "1," * 25_000 + "1))",
        "(CONDSTORE)",
    ],
)
def test_select_refuses_what_it_does_not_know(inbox: RawImap, parameters: str) -> None:
    assert inbox.command(f"SELECT INBOX{parameters}")[0].startswith(b"BAD")
    inbox.ok("FETCH 1 FLAGS")  # the folder is still open


def test_parameters() -> None:
    known = SequenceSet(((1, 2), (9, 9)))
    assert parse_select_parameters(Parser(b"")) == SelectParameters()
    assert parse_select_parameters(Parser(b" (condstore)")) == SelectParameters(True)
    for text in (b"(7 8 1:2,9)", b"(7 8 1:2,9 (1 2))"):
        parser = Parser(b" (QRESYNC %b CONDSTORE)" % text)
        assert parse_select_parameters(parser) == SelectParameters(True, Resync(7, 8, known))
        parser.end()


def test_a_client_that_comes_back_again_and_again(
    inbox: RawImap, connect: Connect, person: str, dice: random.Random
) -> None:
    cache = Cache()
    cache.hear(inbox.ok("UID FETCH 1:* FLAGS"))
    cache.hear(inbox.ok("SELECT INBOX"))
    other = connect(person)
    other.ok("SELECT INBOX")
    for _ in range(15):
        if dice.random() < 0.5:
            inbox.ok("UNSELECT")
        for _ in range(dice.randrange(6)):
            number = dice.randint(1, 40)
            change = dice.choice(
                [
                    rf"UID STORE {number} +FLAGS.SILENT (\Deleted)",
                    rf"UID STORE {number}:* FLAGS.SILENT (word{number})",
                    "EXPUNGE",
                    f"UID MOVE {number} Archive",
                    f"UID COPY {number} INBOX",
                ]
            )
            other.ok(change)
            other.append(PLAIN)
            other.ok("NOOP")
        known = dice.choice(["", " 1:500", " 1:500 (1:2 1:2)"])
        cache.hear(inbox.ok(cache.select(known)))
        now = Cache()
        now.hear(other.ok("UID FETCH 1:* (UID FLAGS)"))
        assert cache.flags == now.flags

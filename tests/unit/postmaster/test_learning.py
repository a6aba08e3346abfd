"""What people move to Junk is learned, each for herself; what was learned counts at a delivery."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from firstboot.base.waiting import wait_for
from postmaster.crypto import person_id
from postmaster.delivery import JUNK, place
from postmaster.errors import RspamdUnavailableError
from postmaster.judging import Judge
from postmaster.learning import MESSAGES, is_spam
from postmaster.rspamd import LARGE, Opinion, Rspamd
from postmaster.storage.interface import Folder
from tests.unit.postmaster.harness import (
    ADA,
    BOB,
    DEADLINE,
    LEARNING_TOKEN,
    RawImap,
    Stack,
    make_files,
)

SPAM = b"Subject: offer\r\n\r\nbuy this\r\n"


@dataclass
class FakeRspamd:
    """Takes every lesson, and has a score for each person."""

    lessons: list[tuple[str, str, bytes]] = field(default_factory=list)  # kind, person, message
    scores: dict[str, float] = field(default_factory=dict)
    status: int = 200
    passwords: set[str] = field(default_factory=set)

    def answer(self, path: str, person: str, message: bytes) -> bytes:
        if path == "/checkv2":
            symbols = {"BAYES_SPAM": {"score": self.scores.get(person, 0.0)}}
            return json.dumps({"symbols": symbols, "thresholds": {"add header": 6.0}}).encode()
        self.lessons.append((path.removeprefix("/learn"), person, message))
        return b'{"success":true}'

    def learned(self, count: int) -> list[tuple[str, str, bytes]]:
        """Wait for so many lessons; return all."""
        wait_for(
            lambda: len(self.lessons) >= count,
            what=f"{count} lessons",
            timeout=DEADLINE,
            interval=0.01,
        )
        return self.lessons


@pytest.fixture
def rspamd() -> Iterator[tuple[FakeRspamd, int]]:
    fake = FakeRspamd()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = self.rfile.read(int(self.headers["Content-Length"]))
            fake.passwords.add(self.headers["Password"])
            text = fake.answer(self.path, self.headers["Deliver-To"], message)
            self.send_response(fake.status)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield fake, server.server_port
        server.shutdown()


@pytest.fixture
def learner(
    rspamd: tuple[FakeRspamd, int],
    tmp_path: Path,
    password_hash: str,
    certificate: tuple[Path, Path],
) -> Iterator[tuple[FakeRspamd, Stack]]:
    files = make_files(tmp_path, password_hash, certificate)
    stack = Stack(files, rspamd_port=rspamd[1])
    yield rspamd[0], stack
    stack.stop()


def folder(use: str | None) -> Folder:
    return Folder(1, "x", use, subscribed=True, uidvalidity=1, uidnext=1)


@pytest.mark.parametrize(
    ("source", "target", "verdict"),
    [
        (None, "\\Junk", True),
        ("\\Archive", "\\Junk", True),
        ("\\Junk", "\\Junk", None),
        ("\\Junk", None, False),
        ("\\Junk", "\\Archive", False),
        ("\\Junk", "\\Trash", None),
        (None, "\\Trash", None),
        (None, None, None),
    ],
)
def test_what_a_move_says(source: str | None, target: str, verdict: bool | None) -> None:
    assert is_spam(folder(source), folder(target)) is verdict
    if source is None:
        assert is_spam(None, folder(target)) is verdict


@pytest.mark.parametrize("command", ["MOVE 1 Junk", "UID MOVE 1 Junk", "COPY 1 Junk"])
def test_what_goes_to_junk_is_learned(learner: tuple[FakeRspamd, Stack], command: str) -> None:
    fake, stack = learner
    imap = RawImap(stack)
    imap.append(SPAM)
    imap.ok("SELECT INBOX")
    imap.ok(command)
    assert fake.learned(1) == [("spam", person_id(ADA), SPAM)]
    assert fake.passwords == {LEARNING_TOKEN}
    imap.close()


def test_what_is_put_there_and_taken_out_is_learned(learner: tuple[FakeRspamd, Stack]) -> None:
    fake, stack = learner
    imap = RawImap(stack, BOB)
    imap.append(SPAM, "Junk")
    fake.learned(1)
    imap.ok("SELECT Junk")
    imap.ok("COPY 1 Trash")
    imap.ok("MOVE 1 Archive")
    bob = person_id(BOB)
    assert fake.learned(2) == [("spam", bob, SPAM), ("ham", bob, SPAM)]
    imap.close()


def test_what_was_read_and_left_is_no_spam(learner: tuple[FakeRspamd, Stack]) -> None:
    """One for each spam; not what is unread or deleted, nor what was just copied to Junk."""
    fake, stack = learner
    imap = RawImap(stack)
    kept = b"Subject: lunch\r\n\r\nat noon\r\n"
    imap.append(SPAM, flags="\\Seen")
    imap.append(b"Subject: new\r\n\r\n", flags="")
    imap.append(b"Subject: gone\r\n\r\n", flags="\\Seen \\Deleted")
    imap.append(kept, flags="\\Seen")
    imap.ok("SELECT INBOX")
    imap.ok("COPY 1 Junk")
    ada = person_id(ADA)
    assert fake.learned(2) == [("spam", ada, SPAM), ("ham", ada, kept)]
    imap.close()


def test_lessons_have_bounds(learner: tuple[FakeRspamd, Stack]) -> None:
    fake, stack = learner
    imap = RawImap(stack)
    for number in range(MESSAGES + 5):
        imap.append(b"Subject: %d\r\n\r\n" % number)
    imap.ok("SELECT INBOX")
    imap.ok("MOVE 1:* Junk")
    imap.ok("SELECT Junk")
    imap.ok("MOVE 1 INBOX")
    lessons = fake.learned(MESSAGES + 1)
    assert [kind for kind, *_ in lessons] == ["spam"] * MESSAGES + ["ham"]
    imap.close()


def test_without_rspamd_mail_comes_and_moves_as_ever(
    tmp_path: Path, password_hash: str, certificate: tuple[Path, Path]
) -> None:
    stack = Stack(make_files(tmp_path, password_hash, certificate), rspamd_port=9)
    imap = RawImap(stack)
    imap.append(SPAM)
    imap.ok("SELECT INBOX")
    imap.ok("MOVE 1 Junk")
    assert b'* STATUS "Junk" (MESSAGES 1)' in imap.ok("STATUS Junk (MESSAGES)")
    message = b"X-Spam-Status: No, score=1.00\r\n" + SPAM
    assert stack.deliver(message, ADA) == {}
    imap.close()
    stack.stop()


def test_each_person_has_an_opinion_of_the_same_message(
    learner: tuple[FakeRspamd, Stack],
) -> None:
    fake, stack = learner
    fake.scores[person_id(ADA)] = 6.5
    message = b"X-Spam-Status: No, score=-0.40\r\n" + SPAM
    assert stack.deliver(message, ADA, BOB) == {}
    with stack.imap(ADA) as ada, stack.imap(BOB) as bob:
        assert ada.select("Junk")[1] == bob.select("INBOX")[1] == [b"1"]


class Taught:
    """One opinion for everybody."""

    def __init__(self, score: float | None) -> None:
        self.score = score
        self.asked = 0

    async def opinion(self, _person: str, _message: bytes) -> Opinion:
        self.asked += 1
        if self.score is None:
            raise RspamdUnavailableError("away")
        return Opinion(self.score, 6.0)


def judged(status: str, score: float | None, *, more: bytes = SPAM) -> tuple[bytes, int]:
    lessons = Taught(score)
    judge = Judge(lessons)

    async def run() -> bytes:
        message = status.encode() + more
        await judge.mark(ADA, message)
        return await judge.mark(ADA, message) + message

    message = asyncio.run(run())
    return (b"junk" if place(message).folder == JUNK else b"inbox"), lessons.asked


NO, YES = "X-Spam-Status: No, score={}\r\n", "X-Spam: Yes\r\nX-Spam-Status: Yes, score={}\r\n"


@pytest.mark.parametrize(
    ("status", "score", "folder_"),
    [
        (NO.format("-0.50"), 6.6, b"junk"),
        (NO.format("-0.50"), 6.4, b"inbox"),
        (NO.format("2.00"), 0.0, b"inbox"),
        (YES.format("8.10"), -4.0, b"inbox"),
        (YES.format("10.50"), -4.0, b"junk"),
        # What its domain wants put aside, in spite of a low score.
        (YES.format("1.00"), -4.0, b"junk"),
        ("X-Spam: Yes\r\nX-Spam-Status: Yes,\r\n score=8.10\r\n", -4.0, b"inbox"),
    ],
)
def test_lessons_and_rules_together(status: str, score: float, folder_: bytes) -> None:
    assert judged(status, score) == (folder_, 2)


@pytest.mark.parametrize("status", ["", "X-Spam-Status: No\r\n", "X-Spam-Status: score=1e99\r\n"])
def test_what_rspamd_has_not_judged_is_not_asked_about(status: str) -> None:
    assert judged(status, 7.0) == (b"inbox", 0)


def test_a_large_message_is_not_asked_about() -> None:
    assert judged(NO.format("1.00"), 7.0, more=SPAM + bytes(LARGE)) == (b"inbox", 0)


def test_who_does_not_answer_is_not_asked_again_at_once() -> None:
    assert judged(NO.format("1.00"), None) == (b"inbox", 1)


@pytest.mark.parametrize("status", [401, 500])
def test_a_refusal_is_no_lesson(rspamd: tuple[FakeRspamd, int], status: int) -> None:
    rspamd[0].status = status
    client = Rspamd("127.0.0.1", rspamd[1], LEARNING_TOKEN)
    with pytest.raises(RspamdUnavailableError, match=str(status)):
        asyncio.run(client.learn(ADA, SPAM, spam=True))


def test_what_was_learned_before_is_no_news(rspamd: tuple[FakeRspamd, int]) -> None:
    rspamd[0].status = 208
    client = Rspamd("127.0.0.1", rspamd[1], LEARNING_TOKEN)
    assert asyncio.run(client.learn(ADA, SPAM, spam=True)) is False


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"symbols": {}}', b'{"symbols": {"a": 1}}'])
def test_an_opinion_without_sense_is_none(
    rspamd: tuple[FakeRspamd, int], monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(rspamd[0], "answer", lambda *_: answer)
    client = Rspamd("127.0.0.1", rspamd[1], LEARNING_TOKEN)
    with pytest.raises(RspamdUnavailableError):
        asyncio.run(client.opinion(ADA, SPAM))

"""What a mail store is asked to do by the benchmark: each task returns figures of one server."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from tests.bench.clients import ImapClient
from tests.bench.search import make_messages, make_words
from tests.bench.servers import PEOPLE, Server

READER, ALONE, LOCKED, *_REST = PEOPLE
TOGETHER = _REST[:8]
FOLDER = "Large"
BATCH_BYTES = 1 << 20  # of one APPEND while loading
IDLE_CLIENTS = 100
OF_ONE_PERSON = 10


@dataclass(frozen=True)
class Work:
    """What the tasks work with: the words that searches look for are in the loaded messages."""

    loaded: Sequence[bytes]
    incoming: Sequence[bytes]
    rare: str
    common: str

    @classmethod
    def make(cls, count: int, incoming: int, seed: int) -> Work:
        """Make messages, `count` to be loaded and `incoming` for deliveries."""
        dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        words = make_words(dice)
        messages = list(make_messages(count + incoming, dice, words))
        loaded = messages[:count]
        seldom = (word for word in words[20_000:] if len(word) > 7)
        rare = next(word for word in seldom if any(word.encode() in raw for raw in loaded))
        return cls(loaded, messages[count:], rare, words[30])


Figures = Mapping[str, float]
Task = Callable[[Server, Work], Figures]


def load(server: Server, work: Work) -> Figures:
    """Fill the large folder; this is done once."""
    with server.log_in(READER) as client:
        client.command(f"CREATE {FOLDER}")
        started = time.perf_counter()
        for batch in _batches(work.loaded):
            client.append(FOLDER, batch)
        return {"load, MULTIAPPEND of 1 MiB": time.perf_counter() - started}


def deliver(server: Server, work: Work) -> Figures:
    """Deliver to one person who is logged in, on one connection."""
    with server.log_in(ALONE), server.deliveries() as client:
        return {"deliver, 1 connection": _seconds(partial(client.deliver, ALONE, work.incoming))}


def deliver_together(server: Server, work: Work) -> Figures:
    """Deliver to eight people who are logged in, on a connection each."""
    shares = [work.incoming[start::8] for start in range(8)]
    with ExitStack() as stack, ThreadPoolExecutor(8) as threads:
        clients = []
        for person in TOGETHER:
            stack.enter_context(server.log_in(person))
            clients.append(stack.enter_context(server.deliveries()))

        def all_of_them() -> None:
            sent = [
                threads.submit(client.deliver, person, share)
                for client, person, share in zip(clients, TOGETHER, shares, strict=True)
            ]
            for future in sent:
                future.result()

        return {"deliver, 8 connections": _seconds(all_of_them)}


def deliver_locked(server: Server, work: Work) -> Figures:
    """Deliver to somebody who is never logged in: with us the mail is sealed."""
    with server.deliveries() as client:
        seconds = _seconds(partial(client.deliver, LOCKED, work.incoming))
    return {"deliver, nobody logged in": seconds}


def log_in(server: Server, _work: Work) -> Figures:
    """Connect and log in, a few times."""

    def once() -> None:
        with server.log_in(READER):
            pass

    return {"login with TLS": min(_seconds(once) for _ in range(3))}


def select(server: Server, _work: Work) -> Figures:
    """Select the large folder as the first thing in a session."""
    with server.log_in(READER) as client:
        return {"SELECT": _seconds(lambda: client.command(f"SELECT {FOLDER}"))}


def fetch(server: Server, work: Work) -> Figures:
    """Fetch of all messages what a client asks for when it first sees a folder, then bodies."""
    commands = {
        "FETCH flags of all": "UID FETCH 1:* (FLAGS)",
        "FETCH envelopes of all": "UID FETCH 1:* (ENVELOPE INTERNALDATE RFC822.SIZE)",
        "FETCH structures of all": "UID FETCH 1:* (BODYSTRUCTURE)",
        "FETCH header fields of all": "UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)]",
        "FETCH 500 bodies at once": "UID FETCH 1:500 (BODY.PEEK[])",
    }
    figures = {}
    with server.log_in(READER) as client:
        client.command(f"SELECT {FOLDER}")
        for name, command in commands.items():
            figures[name] = _seconds(partial(client.command, command))

        def one_by_one() -> None:
            for uid in range(1, min(300, len(work.loaded))):
                client.command(f"UID FETCH {uid} (BODY.PEEK[])")

        figures["FETCH 300 bodies one by one"] = _seconds(one_by_one)
    return figures


def append(server: Server, work: Work) -> Figures:
    """Append one by one, from a client that does not set TCP_NODELAY."""
    messages = work.incoming[:50]

    def all_of_them() -> None:
        for message in messages:
            client.append_slowly("INBOX", message)

    with server.log_in(ALONE, nodelay=False) as client:
        return {"APPEND 50, no TCP_NODELAY": _seconds(all_of_them)}


def search(server: Server, work: Work) -> Figures:
    """Search in headers and bodies; both servers have to find something."""
    searches = {
        "SEARCH SUBJECT, common word": f"SUBJECT {work.common}",
        "SEARCH BODY, rare word": f"BODY {work.rare}",
        "SEARCH BODY, common word": f"BODY {work.common}",
        "SEARCH TEXT, rare word": f"TEXT {work.rare}",
    }
    figures = {}
    with server.log_in(READER) as client:
        client.command(f"SELECT {FOLDER}")
        for name, keys in searches.items():
            answers: list[bytes] = []
            command = f"UID SEARCH {keys}"
            figures[name] = _seconds(partial(_note_answer, client, command, answers))
            if b"SEARCH " not in answers[0]:
                raise ConnectionError(f"{server.name} has found nothing by {keys}")
    return figures


def idle(server: Server, _work: Work) -> Figures:
    """Memory that an idle connection takes: 100 of ten people, in IDLE on the inbox."""
    before = server.memory()
    with ExitStack() as stack:
        for number in range(IDLE_CLIENTS):
            person = PEOPLE[number // OF_ONE_PERSON]
            client = stack.enter_context(server.log_in(person))
            client.command("SELECT INBOX")
            client.idle()
        return {"bytes an idle connection": (server.memory() - before) / IDLE_CLIENTS}


TASKS: Sequence[Task] = (
    deliver,
    deliver_together,
    deliver_locked,
    log_in,
    select,
    fetch,
    append,
    search,
    idle,
)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _batches(messages: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    batch: list[bytes] = []
    for message in messages:
        batch.append(message)
        if sum(map(len, batch)) > BATCH_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _note_answer(client: ImapClient, command: str, answers: list[bytes]) -> None:
    answers.append(client.command(command))

"""What became of each message, joined from what Postfix and Rspamd have logged about it.

A message goes through Postfix's queue more than once: to be signed, or forwarded. Each passage has
an id of its own, and the line that ends one names the next. What never had an id was refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

REFUSED, DISCARDED = "refused", "discarded"

# Strangers write some of each line: the name of a message, addresses, a server's answer. So lines
# are known by how they begin, and what none of these fits to must be seen soon.
_POSTFIX = re.compile(
    r"(?:\w{3} +\d+ [\d:]+ \S+ )?postfix/([\w/-]+)\[\d+\]: (?:(NOQUEUE|[0-9A-Za-z]{6,20}): )?(.*)"
)
_DELIVERY = re.compile(
    r"to=<([^>]*)>(?:, orig_to=<([^>]*)>)?, relay=([^,]+), .*?\bstatus=([\w-]+) \((.*)\)$"
)
_QUEUED = re.compile(r"from=<([^>]*)>, size=(\d+), nrcpt=\d+ \(queue active\)")
_EXPIRED = re.compile(r"from=<[^>]*>, status=expired\b")
_CLIENT = re.compile(r"client=([^,\s]+)")
_LOGIN = re.compile(r"\bsasl_username=(\S+)")
_REFUSAL = re.compile(
    r"(?:milter-)?reject: [A-Z-]+ from (\S+): (.*?); from=<([^>]*)>(?: to=<([^>]*)>)?(?: |$)"
)
# By header_checks: `discard: header X-Spam: Yes from HOST; from=… helo=<…>: WORDS`.
_DISCARDED = re.compile(r"discard: .*; from=<([^>]*)>(?: to=<([^>]*)>)?.*>: ([^<>]*)$")
_NEXT = re.compile(r"\bqueued as ([0-9A-Za-z]{6,20})\)?$")
# Servers inside the container (master.cf: signing, forwarding).
_INSIDE = "127.0.0.1["
# As rspamd.conf has it.
_RSPAMD = re.compile(
    r"[^<]*<\w*>; \w+; rspamd_task_write_log: id: <.*>, qid: <([0-9A-Za-z]+)>,"
    r"(?: ip: [^ ,]+,)?(?: user: [^,]+,)? ([a-z ]+), score: "
    r"\[(-?[\d.]+)/[\d.]+\] \[(.*?)\], len:"
)
_SYMBOL = re.compile(r"([A-Z][A-Z0-9_]*)\((-?[\d.]+)\)")
_TELLING = 3  # symbols of a verdict


class Logged(NamedTuple):
    """A line of a log: when (ISO 8601, UTC) and what."""

    time: str
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Rspamd found: points, what it wanted done, and the rules that gave the most points."""

    score: float
    action: str
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message for one recipient, by the last line about it.

    `status` is Postfix's (sent, deferred, bounced, expired), REFUSED or DISCARDED; `said` is in its
    words, or another server's. `asked` is the address as the sender wrote it.
    """

    address: str
    asked: str
    time: str
    status: str
    relay: str
    said: str

    @property
    def is_mailbox(self) -> bool:
        """Whether it is about a mailbox here."""
        return self.relay.startswith("mailstore[")

    @property
    def is_inside(self) -> bool:
        """Whether it is about a step on the way within this machine."""
        return self.relay.startswith(_INSIDE)


@dataclass(frozen=True, slots=True)
class Story:
    """A message on all its ways; `ids` are those of Postfix's queue, none for what was refused."""

    time: str
    ids: tuple[str, ...]
    sender: str
    client: str  # name and address of who brought it, or the login of a person of this machine
    size: int  # bytes; 0: not known
    verdict: Verdict | None
    fates: tuple[Fate, ...]


@dataclass(slots=True)
class _Passage:
    """One way through the queue."""

    time: str
    sender: str = ""
    client: str = ""
    size: int = 0
    verdict: Verdict | None = None
    fates: dict[str, Fate] = field(default_factory=dict)  # by address
    following: list[str] = field(default_factory=list)


@dataclass
class Stories:
    """Joins lines of the services mta and rspamd, in the order of time; others do not matter."""

    first: str = ""  # the time of the first line
    lines: int = 0
    _passages: dict[str, _Passage] = field(default_factory=dict)
    _refused: list[Story] = field(default_factory=list)

    def add(self, line: Logged) -> None:
        """Take one more line."""
        self.first = self.first or line.time
        self.lines += 1
        if found := _POSTFIX.match(line.message):
            _, name, text = found.groups()
            if name == "NOQUEUE":
                self._refused += _refusal(line.time, text)
            elif name is not None:
                _note(self._passage(name, line), line.time, text)
        elif judged := _RSPAMD.match(line.message):
            self._passage(judged[1], line).verdict = _verdict(judged)

    def told(self) -> tuple[Story, ...]:
        """All of them, the newest last."""
        passages = self._passages
        later = {name for passage in passages.values() for name in passage.following}
        told = [
            _story(name, passages)
            for name, passage in passages.items()
            if name not in later and (passage.fates or passage.following)
        ]
        return tuple(sorted([*told, *self._refused], key=lambda story: story.time))

    def _passage(self, name: str, line: Logged) -> _Passage:
        return self._passages.setdefault(name, _Passage(line.time))


def read_stories(lines: Iterable[Logged]) -> tuple[Story, ...]:
    """Join lines that are there already."""
    stories = Stories()
    for line in lines:
        stories.add(line)
    return stories.told()


def _note(passage: _Passage, time: str, text: str) -> None:
    """Take what a line says of one passage."""
    if fate := _delivery(time, text):
        following = _NEXT.search(fate.said)
        if following and fate.is_inside:
            passage.following.append(following[1])
            passage.fates.pop(fate.address, None)
        else:
            passage.fates[fate.address] = fate
    elif found := _QUEUED.match(text):
        passage.sender, passage.size = found[1], int(found[2])
    elif _EXPIRED.match(text):
        for address, fate in passage.fates.items():
            passage.fates[address] = Fate(
                address, fate.asked, time, "expired", fate.relay, fate.said
            )
    elif found := _REFUSAL.match(text):
        client, said, passage.sender, recipient = found.groups("")
        passage.client = passage.client or client
        passage.fates[recipient] = Fate(recipient, recipient, time, REFUSED, "", said)
    elif found := _DISCARDED.match(text):
        passage.sender, recipient, said = found.groups("")
        passage.fates[recipient] = Fate(recipient, recipient, time, DISCARDED, "", said)
    elif found := _CLIENT.match(text):
        login = _LOGIN.search(text)
        passage.client = login[1] if login else found[1]


def parse_fate(line: Logged) -> Fate | None:
    """What this one line says of how a message, or one on its way, ended for somebody."""
    found = _POSTFIX.match(line.message)
    if found is None or found[2] is None:
        return None
    if fate := _delivery(line.time, found[3]):
        return fate
    refused = next(_refusal(line.time, found[3]), None)
    return refused.fates[0] if refused else None


def _delivery(time: str, text: str) -> Fate | None:
    found = _DELIVERY.match(text)
    if found is None:
        return None
    address, asked, relay, status, said = found.groups()
    return Fate(address, asked or address, time, status, relay, said)


def _refusal(time: str, text: str) -> Iterator[Story]:
    if found := _REFUSAL.match(text):
        client, said, sender, recipient = found.groups("")
        fate = Fate(recipient, recipient, time, REFUSED, "", said)
        yield Story(time, (), sender, client, 0, None, (fate,))


def _verdict(found: re.Match[str]) -> Verdict:
    symbols = [(float(points), name) for name, points in _SYMBOL.findall(found[4])]
    worst = sorted((one for one in symbols if one[0] > 0), reverse=True)[:_TELLING]
    return Verdict(float(found[3]), found[2], tuple(f"{name} {points:g}" for points, name in worst))


def _story(first: str, passages: dict[str, _Passage]) -> Story:
    ids: list[str] = []
    waiting = [first]
    while waiting:
        name = waiting.pop(0)
        if name in passages and name not in ids:
            ids.append(name)
            waiting += passages[name].following
    ways = [passages[name] for name in ids]
    verdicts = (way.verdict for way in ways if way.verdict is not None)
    return Story(
        ways[0].time,
        tuple(ids),
        ways[0].sender,
        ways[0].client,
        ways[0].size,
        next(verdicts, None),
        tuple(fate for way in ways for fate in way.fates.values()),
    )

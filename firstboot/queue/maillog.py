"""What the services that mail passes have logged: in the journal, or with the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from firstboot.base.compose import PROJECT
from firstboot.base.engine import Engine
from firstboot.queue.stories import Logged, Stories, Story
from firstboot.queue.telling import matches
from firstboot.system.journal import Line, scan_journal

SERVICES = ("mta", "rspamd")
# That are looked through, the newest: if each is of a refusal, they take some 80 MB.
MOST_LINES = 100_000
_CONTAINERS = tuple(f"CONTAINER_NAME={PROJECT}-{name}-1" for name in SERVICES)


class MailLog(Protocol):
    """Where it is. Both raise MailsteadError when it cannot be read."""

    def scan(
        self,
        since: int,
        take: Callable[[Logged], None],
        *,
        words: Sequence[str] = (),
        lines: int | None = None,
    ) -> None:
        """The lines since a time (seconds since 1970), the oldest first, each to `take`.

        With `words` only those that contain one of these; with `lines` no more than so many, the
        last.
        """

    def begins(self) -> str:
        """When the oldest line is of (RFC 3339, UTC), "" without any."""


@dataclass(frozen=True)
class JournalLog:
    """Of a machine: it outlives its containers."""

    def scan(
        self,
        since: int,
        take: Callable[[Logged], None],
        *,
        words: Sequence[str] = (),
        lines: int | None = None,
    ) -> None:
        """See MailLog."""

        def hand_on(line: Line) -> None:
            take(Logged(line.time, line.message))

        scan_journal([f"--since=@{since}", *_CONTAINERS], hand_on, lines=lines, words=words)

    def begins(self) -> str:
        """See MailLog."""
        found: list[Line] = []
        scan_journal(["--lines=+1", *_CONTAINERS], found.append)
        return found[0].time if found else ""


@dataclass(frozen=True)
class EngineLog:
    """Of a stack without a machine."""

    engine: Engine

    def scan(
        self,
        since: int,
        take: Callable[[Logged], None],
        *,
        words: Sequence[str] = (),
        lines: int | None = None,
    ) -> None:
        """See MailLog."""
        for line in self._read(since)[-(lines or 0) :]:
            if not words or any(word in line.message for word in words):
                take(line)

    def begins(self) -> str:
        """See MailLog."""
        return next((line.time for line in self._read(0)), "")

    def _read(self, since: int) -> list[Logged]:
        found: list[list[str]] = []
        for container in self.engine.containers(PROJECT):
            if container.service in SERVICES:
                text = self.engine.logs_since(container, since)
                found += [line.split(" ", 1) for line in text.splitlines() if " " in line]
        return [Logged(f"{time[:19]}Z", _printable(message)) for time, message in sorted(found)]


@dataclass(frozen=True)
class Found:
    """What a search has found, the newest last; `begins`: of what was looked through."""

    begins: str
    stories: tuple[Story, ...]


def find_stories(log: MailLog, since: int, sender: str, recipient: str) -> Found:
    """The stories since a time that are from and to addresses that contain these; "": any."""
    stories = Stories()
    log.scan(since, stories.add, lines=MOST_LINES)
    found = (story for story in stories.told() if matches(story, sender, recipient))
    begins = stories.first if stories.lines == MOST_LINES else log.begins()
    return Found(begins, tuple(found))


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text).rstrip()

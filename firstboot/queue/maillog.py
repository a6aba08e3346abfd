"""What the services that mail passes have logged: in the journal, or with the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from firstboot.base.compose import PROJECT
from firstboot.base.engine import Engine
from firstboot.queue.stories import Logged, Stories, Story
from firstboot.queue.telling import matches
from firstboot.system.journal import Line, scan_journal

SERVICES = ("mta", "rspamd")
MOST_LINES = 200_000  # that are looked through, the newest


class MailLog(Protocol):
    """Where it is."""

    def scan(
        self,
        since: int,
        take: Callable[[Logged], None],
        *,
        words: Sequence[str] = (),
        lines: int = MOST_LINES,
    ) -> None:
        """The lines since a time (seconds since 1970), the oldest first, each to `take`.

        With `words` only those that contain one of these, and the very first one. Raises
        MailsteadError when the log cannot be read.
        """


@dataclass(frozen=True)
class JournalLog:
    """Of a machine: it outlives its containers."""

    def scan(
        self,
        since: int,
        take: Callable[[Logged], None],
        *,
        words: Sequence[str] = (),
        lines: int = MOST_LINES,
    ) -> None:
        """See MailLog."""
        services = [f"CONTAINER_NAME={PROJECT}-{name}-1" for name in SERVICES]

        def hand_on(line: Line) -> None:
            take(Logged(line.time, line.message))

        scan_journal([f"--since=@{since}", *services], hand_on, lines=lines, words=words)


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
        lines: int = MOST_LINES,
    ) -> None:
        """See MailLog."""
        found: list[list[str]] = []
        for container in self.engine.containers(PROJECT):
            if container.service in SERVICES:
                text = self.engine.logs_since(container, since, lines=lines)
                found += [line.split(" ", 1) for line in text.splitlines() if " " in line]
        for number, (time, message) in enumerate(sorted(found)[-lines:]):
            if not words or number == 0 or any(word in message for word in words):
                plain = "".join(c if c.isprintable() else " " for c in message).rstrip()
                take(Logged(f"{time[:19]}Z", plain))


@dataclass
class Found:
    """What a search has found, the newest last; `begins`: of the first line, "" without any."""

    begins: str = ""
    stories: list[Story] = field(default_factory=list)


def find_stories(log: MailLog, since: int, sender: str, recipient: str) -> Found:
    """The stories since a time that are from and to addresses that contain these; "": any."""
    found, stories = Found(), Stories()

    def take(line: Logged) -> None:
        found.begins = found.begins or line.time
        stories.add(line)

    log.scan(since, take)
    found.stories = [story for story in stories.told() if matches(story, sender, recipient)]
    return found

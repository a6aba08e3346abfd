"""A machine whose services run as far as tests need: rendered, and an engine that notes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from firstboot.base.compose import StackOptions
from firstboot.base.engine import Container
from firstboot.base.errors import EngineError
from firstboot.base.paths import Paths
from firstboot.base.services import read_stack
from firstboot.base.settings import require_settings
from firstboot.base.stack import write_stack
from firstboot.queue.stories import Logged
from tests.unit.firstboot.samples import RELEASE, SETTINGS

SERVICES = """\
version: 1
networks:
  edge: {internal: false}
services:
  directory:
    image: redis
    user: 10002
    command: [postmaster, directory]
    networks: [edge]
    memory: 64M
    secrets: [settings]
    health: [{port: 9, expect: x}]
  rspamd:
    image: redis
    user: 10004
    command: [start-rspamd]
    networks: [edge]
    memory: 64M
    secrets: [dkim]
    health: [{port: 9, expect: x}]
"""


@dataclass
class NotingEngine:
    """An engine with two containers, which notes what runs in them."""

    services: tuple[str, ...] = ("directory", "rspamd")
    queue: bytes = b""
    ran: list[tuple[str, ...]] = field(default_factory=list)
    started: list[set[str]] = field(default_factory=list)
    answer: dict[str, object] = field(
        default_factory=lambda: {"ok": True, "people": [], "left": []}
    )

    def containers(self, _project: str) -> tuple[Container, ...]:
        return tuple(
            Container(service, service, "", "", "running", "127.0.0.1", 0, 0)
            for service in self.services
        )

    def compose_up(self, _file: Path, _project: str, services: Collection[str]) -> None:
        self.started.append({*services})
        self.services = tuple(services)

    def memory(self, _container: Container) -> int:
        return 1 << 20

    def execute(self, container: Container, argv: Sequence[str]) -> bytes:
        if tuple(argv) == ("postqueue", "-j"):
            return self.queue
        self.ran.append((container.service, *argv))
        return b""

    def ask(
        self, container: Container, argv: Sequence[str], lines: Sequence[str]
    ) -> tuple[int, bytes]:
        if container.service not in self.services:
            raise EngineError("it has gone")
        self.ran.append((container.service, *argv))
        return 0, json.dumps(self.answer).encode()


@dataclass
class MadeLog:
    """A log of mail with these lines, each with its age in seconds."""

    lines: list[tuple[int, str]] = field(default_factory=list)

    def scan(
        self,
        since: int,
        take: Callable[[Logged], None],
        *,
        words: Sequence[str] = (),
        lines: int | None = None,
    ) -> None:
        """See MailLog."""
        now = int(time.time())
        found = [(now - age, text) for age, text in self.lines if now - age >= since]
        for when, text in found[-(lines or 0) :]:
            if not words or any(word in text for word in words):
                take(Logged(self._stamp(when), text))

    def begins(self) -> str:
        """See MailLog."""
        ages = [age for age, _ in self.lines]
        return self._stamp(int(time.time()) - max(ages)) if ages else ""

    def _stamp(self, when: int) -> str:
        return datetime.fromtimestamp(when, UTC).isoformat().replace("+00:00", "Z")


def set_up(paths: Paths, settings: str = SETTINGS, services: str = SERVICES) -> None:
    """Keep settings and render the stack, as `mailstead boot` does."""
    paths.settings.write_text(settings)
    paths.services.write_text(services)
    write_stack(
        require_settings(paths.settings),
        read_stack(paths.services),
        RELEASE,
        templates=paths.templates,
        config=paths.stack,
        state=paths.state,
        options=StackOptions(),
    )

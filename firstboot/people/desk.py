"""Asks the directory about people, by `postmaster person` in its container."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from firstboot.base.engine import Container, Engine
from firstboot.base.errors import EngineError, MailsteadError
from firstboot.people import lessons

SERVICE = "directory"


class PersonError(MailsteadError):
    """The directory did not do what was asked about a person, and says why."""

    exit_code = 16


class NobodyError(PersonError):
    """There is no such person, alias or domain."""


class Desk(Protocol):
    """Does what `postmaster person` can do."""

    def ask(self, words: Sequence[str], secrets: Sequence[str] = ()) -> dict[str, Any]:
        """Return what it answers; `secrets` go in a line each. Raises PersonError."""

    def forget_lessons(self, address: str) -> None:
        """Have forgotten what somebody has taught the spam filter. Raises EngineError."""


@dataclass(frozen=True)
class ContainerDesk:
    """In the container of a running stack."""

    engine: Engine
    project: str

    def ask(self, words: Sequence[str], secrets: Sequence[str] = ()) -> dict[str, Any]:
        """See `Desk.ask`. Raises EngineError, too."""
        if any("\n" in secret or "\r" in secret for secret in secrets):
            raise PersonError("a password is one line")
        argv = ("postmaster", "person", "--json", *words)
        code, output = self.engine.ask(self._container(SERVICE), argv, secrets)
        try:
            found: dict[str, Any] = json.loads(output)
            done = found.pop("ok") is True and code == 0
        except (ValueError, KeyError, AttributeError):
            raise EngineError(f"`postmaster person` ended with {code} and said nothing") from None
        if not done:
            raise PersonError(str(found.get("error", "")), str(found.get("hint", "")))
        return found

    def forget_lessons(self, address: str) -> None:
        """See `Desk.forget_lessons`."""
        container = self._container(lessons.SERVICE)
        for command in lessons.forget(address):
            output = self.engine.execute(container, command)
            if output.strip() != b"OK":
                raise EngineError(
                    f"what {address} has taught is not forgotten: {output.decode()!r}", "Try again."
                )

    def _container(self, service: str) -> Container:
        for container in self.engine.containers(self.project):
            if container.service == service and container.status == "running":
                return container
        raise EngineError(
            f"the container {service} does not run", "`mailstead status` shows the containers."
        )

"""The queue of a running stack, by Postfix's own programs in its container."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from firstboot.base.engine import Container, Engine
from firstboot.base.errors import EngineError
from firstboot.queue.messages import Message, QueueError, parse_messages

SERVICE = "mta"
Verb = Literal["hold", "release", "delete"]
# postsuper(1).
_OPTIONS: dict[Verb, str] = {"hold": "-h", "release": "-H", "delete": "-d"}
_DONE = re.compile(rb"^postsuper: [A-Z][a-z ]+: (\d+) messages?$", re.MULTILINE)


@dataclass(frozen=True)
class Spool:
    """The queue of the stack `project`. Every method raises EngineError when it does not run."""

    engine: Engine
    project: str

    def messages(self) -> tuple[Message, ...]:
        """All messages, the oldest first."""
        return parse_messages(self._run("postqueue", "-j"))

    def retry(self, messages: Sequence[Message] | None) -> None:
        """Have Postfix try to deliver these at once; None for all that are not held."""
        if messages is None:
            self._run("postqueue", "-f")
            return
        for message in messages:
            self._run("postqueue", "-i", message.id)

    def change(self, verb: Verb, messages: Sequence[Message]) -> int:
        """Hold, release or delete these; how many were still there."""
        if not messages:
            return 0
        option = _OPTIONS[verb]
        words = [word for message in messages for word in (option, message.id)]
        found = _DONE.search(self._run("postsuper", *words))
        return int(found[1]) if found else 0

    def _run(self, *argv: str) -> bytes:
        return self.engine.execute(self._container(), argv)

    def _container(self) -> Container:
        for container in self.engine.containers(self.project):
            if container.service == SERVICE and container.status == "running":
                return container
        raise EngineError(
            f"the container {SERVICE} does not run", "`mailstead status` shows the containers."
        )


def pick(messages: Sequence[Message], ids: Sequence[str]) -> tuple[Message, ...]:
    """The messages with these ids, each once. Raises QueueError for one that is not there.

    So nothing else ever reaches Postfix's programs, to which `ALL` is a name for all messages.
    """
    by_id = {message.id: message for message in messages}
    missing = [text for text in ids if text not in by_id]
    if missing:
        raise QueueError(
            f"there is no message {', '.join(missing)} in the queue",
            "It may have been delivered meanwhile. `mailstead queue list` shows what waits.",
        )
    return tuple(by_id[text] for text in dict.fromkeys(ids))

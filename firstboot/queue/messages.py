"""What waits in the queue, from what Postfix lists (postqueue(1), JSON OBJECT FORMAT)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from firstboot.base.errors import MailsteadError

# Postfix's queues (qmgr(8)), and what a message does there.
STATES = {
    "maildrop": "arrives",
    "incoming": "arrives",
    "active": "is being delivered",
    "deferred": "waits",
    "hold": "is held",
}
HELD = "hold"
# How Postfix lists the sender of reports, which is empty (RFC 5321, 4.5.5).
REPORTS = "MAILER-DAEMON"
# On standard error, such as that the mail system is down.
_WARNING = "postqueue: warning:"


class QueueError(MailsteadError):
    """The queue cannot be read, or something in it is not as was asked for."""

    exit_code = 18


@dataclass(frozen=True)
class Recipient:
    """Somebody who has not got a message yet; `said` is Postfix's reason, "" before a first try."""

    address: str
    said: str


@dataclass(frozen=True)
class Message:
    """A message in the queue. `arrived` is in seconds since 1970, `size` in bytes."""

    id: str
    queue: str
    arrived: int
    size: int
    sender: str
    recipients: tuple[Recipient, ...]

    @property
    def is_held(self) -> bool:
        return self.queue == HELD


def parse_messages(output: bytes) -> tuple[Message, ...]:
    """The messages of `postqueue -j`, one JSON object a line, the oldest first.

    A message that moves from one queue to another meanwhile is listed once. Raises QueueError.
    """
    found: dict[str, Message] = {}
    for line in output.decode(errors="replace").splitlines():
        if line.strip() and not line.startswith(_WARNING):
            message = _message(line)
            found[message.id] = message
    return tuple(sorted(found.values(), key=lambda message: (message.arrived, message.id)))


def _message(line: str) -> Message:
    try:
        data: dict[str, Any] = json.loads(line)
        recipients = tuple(
            Recipient(_shown(each["address"]), _shown(each.get("delay_reason", "")))
            for each in data["recipients"]
        )
        return Message(
            id=str(data["queue_id"]),
            queue=str(data["queue_name"]),
            arrived=int(data["arrival_time"]),
            size=int(data["message_size"]),
            sender=_shown(data["sender"]),
            recipients=recipients,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise QueueError(
            f"the queue cannot be read: Postfix said {line[:200]!r}",
            "`mailstead logs --services` shows what it says otherwise.",
        ) from None


def _shown(text: Any) -> str:
    """What others wrote, on one line and without anything that a terminal would obey."""
    words = " ".join(str(text).split())
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words
    )

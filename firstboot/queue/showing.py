"""Messages of the queue as lines for people, and as plain values."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from typing_extensions import TypedDict

from firstboot.queue.messages import REPORTS, STATES, Message
from firstboot.queue.reasons import explain


class RecipientJson(TypedDict):
    """Somebody who has not got a message yet, why, and what to do; `said` is Postfix's reason."""

    address: str
    reason: str
    what_to_do: str
    said: str


class MessageJson(TypedDict):
    """A message in the queue. `arrived` is in seconds since 1970, `size` in bytes."""

    id: str
    state: str
    arrived: int
    size: int
    sender: str
    recipients: list[RecipientJson]


def title_line(message: Message) -> str:
    """Which message it is: ID, what it does, since when, how large, from whom."""
    state = STATES.get(message.queue, message.queue)
    since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(message.arrived))
    sender = "this machine (a report)" if message.sender in ("", REPORTS) else message.sender
    return f"{message.id}  {state}, since {since}, {_size(message.size)}, from {sender}"


def message_lines(message: Message) -> Iterator[str]:
    """A message with all who wait for it, those with the same reason together."""
    yield title_line(message)
    for said, addresses in _by_reason(message).items():
        reason = explain(said)
        yield f"  to {', '.join(addresses)}: {reason.text}"
        if said:
            yield f"    {reason.advice}"
            yield f"    ({said})"


def summary_line(messages: Sequence[Message]) -> str:
    """How many there are."""
    if not messages:
        return "The queue is empty: nothing waits to be delivered."
    held = sum(message.is_held for message in messages)
    count = f"{len(messages)} {'message' if len(messages) == 1 else 'messages'}"
    return f"{count}, {held} of them held" if held else count


def as_plain(message: Message) -> MessageJson:
    """A message as `--json` prints it."""
    recipients: list[RecipientJson] = []
    for recipient in message.recipients:
        reason = explain(recipient.said)
        recipients.append(
            {
                "address": recipient.address,
                "reason": reason.text,
                "what_to_do": reason.advice,
                "said": recipient.said,
            }
        )
    return {
        "id": message.id,
        "state": message.queue,
        "arrived": message.arrived,
        "size": message.size,
        "sender": message.sender,
        "recipients": recipients,
    }


def _by_reason(message: Message) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for recipient in message.recipients:
        found.setdefault(recipient.said, []).append(recipient.address)
    return found


def _size(count: int) -> str:
    """Bytes in a unit that people read; 1 KiB is 1024 bytes."""
    if count < 1 << 20:
        return f"{count / (1 << 10):.1f} KiB"
    return f"{count / (1 << 20):.1f} MiB"

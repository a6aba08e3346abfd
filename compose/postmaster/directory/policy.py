"""Postfix's question before it takes a message: SMTPD_POLICY_README, attributes of one a line.

Asked at DATA, when it is known how many recipients a message has, so that it goes to all of them or
to none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from postmaster.directory.people import Directory
from postmaster.directory.roster import Roster
from postmaster.directory.sending import SendingCounter
from postmaster.serving import drain

LINE_LIMIT = 8 * 1024
MAX_ATTRIBUTES = 100  # Postfix 3.10 sends about forty
NOTHING_AGAINST_IT = "DUNNO"


async def read_request(reader: asyncio.StreamReader) -> Mapping[str, str] | None:
    """Return the attributes up to the empty line; None at the end of the stream.

    Raises ValueError for what is no such request, or too long.
    """
    attributes: dict[str, str] = {}
    while (line := await reader.readline()) != b"\n":
        if not line.endswith(b"\n"):
            if not line and not attributes:
                return None
            raise ValueError("a request ends early")
        name, equals, value = line.decode(errors="replace").rstrip("\n").partition("=")
        if not equals or len(attributes) >= MAX_ATTRIBUTES:
            raise ValueError("a request is a few lines of name=value")
        attributes[name] = value
    return attributes


async def decide(
    directory: Directory, counter: SendingCounter, attributes: Mapping[str, str]
) -> str:
    """Return an action of access(5) for a message that somebody who has logged in sends."""
    login = attributes.get("sasl_username", "")
    count = attributes.get("recipient_count", "")
    person = directory.resolve(login) if login else None
    if attributes.get("protocol_state") != "DATA" or person is None or not count.isdigit():
        return NOTHING_AGAINST_IT
    # The machine's own messages, the alarm itself among them. Nobody guesses its 256 bits.
    if person == directory.canary:
        return NOTHING_AGAINST_IT
    refusal = await counter.take(directory.limits, person, int(count))
    return refusal.reply(person, int(count)) if refusal else NOTHING_AGAINST_IT


def policy_handler(
    roster: Roster, counter: SendingCounter
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return the connection handler of a policy server."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                attributes = await read_request(reader)
            except ValueError:
                return  # too long, or another protocol
            if attributes is None:
                return
            action = await decide(roster.current, counter, attributes)
            writer.write(f"action={action}\n\n".encode())
            await drain(writer)

    return handle

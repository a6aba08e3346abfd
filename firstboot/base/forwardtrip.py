"""A mail round trip where nobody has a mailbox: a forward that ends one step before it would leave.

The message goes by submission and signing to the canary's address, which the directory then has
forwarded like any other. Behind that, where the sender is rewritten, it has Postfix hold what is
for the canary (compose/mta/master.cf). There it is looked at, and deleted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from firstboot.base.compose import PROJECT
from firstboot.base.engine import Container, Engine
from firstboot.base.errors import DeadlineError, EngineError, RoundTripError, UnreachableError
from firstboot.base.roundtrip import (
    HINT,
    Account,
    RoundTrip,
    make_message,
    message_difference,
    message_mark,
    submit,
)
from firstboot.base.waiting import wait_for

_MTA = "mta"
# A cut may have left one behind; a younger one may be of another round trip that is under way.
_LEFT_BEHIND_SECONDS = 3600


def forwarded_round_trip(
    account: Account,
    engine: Engine,
    *,
    timeout: float,
    meanwhile: Callable[[], None] = lambda: None,
    project: str = PROJECT,
) -> RoundTrip:
    """Send one message from an account to itself, and find it held behind the forwarding.

    That may take `timeout` seconds; each look for it calls `meanwhile` first. Raises RoundTripError
    naming what failed, an UnreachableError when trying again may help. The message is deleted
    where that is still possible.
    """
    mta = _mta(engine, project)
    message = make_message(account.address, account.hostname)
    mark = message_mark(message)
    started = time.monotonic()
    submit(account, account.address, message)
    submitted = time.monotonic()

    def look() -> tuple[str, bytes] | None:
        meanwhile()
        for entry in _held(engine, mta, account.address):
            content = _content(engine, mta, entry["queue_id"])
            if mark in content:
                return entry["queue_id"], content
        return None

    try:
        found, content = wait_for(look, what="its way back", timeout=timeout, interval=0.25)
    except DeadlineError as error:
        raise RoundTripError(f"the message was accepted, but {error}", HINT) from None
    returned = time.monotonic()
    _delete(engine, mta, account.address, found)
    deleted = time.monotonic()
    if difference := message_difference(message, content):
        raise RoundTripError(f"the message came back changed: {difference}", HINT)
    return RoundTrip(
        len(message),
        round(submitted - started, 3),
        round(returned - submitted, 3),
        round(deleted - returned, 3),
    )


def _mta(engine: Engine, project: str) -> Container:
    for container in engine.containers(project):
        if container.service == _MTA and container.status == "running":
            return container
    raise UnreachableError(f"the container {_MTA} does not run", HINT)


def _held(engine: Engine, mta: Container, address: str) -> Iterator[dict[str, Any]]:
    """What is on hold for the canary (postqueue(1), JSON OBJECT FORMAT)."""
    local, _, domain = address.rpartition("@")
    for line in _run(engine, mta, "postqueue", "-j").splitlines():
        # Warnings come the same way.
        entry = json.loads(line) if line.startswith(b"{") else {}
        to = [recipient["address"] for recipient in entry.get("recipients", ())]
        if entry.get("queue_name") == "hold" and to == [f"{local}={domain}@forward.invalid"]:
            yield entry


def _content(engine: Engine, mta: Container, queue_id: str) -> bytes:
    """A message as it would be sent, b"" when it has gone."""
    output = _run(engine, mta, "sh", "-c", 'postcat -bhq "$1" || true', "sh", queue_id)
    return output.replace(b"\n", b"\r\n")


def _delete(engine: Engine, mta: Container, address: str, found: str) -> None:
    for entry in _held(engine, mta, address):
        old = time.time() - entry["arrival_time"] > _LEFT_BEHIND_SECONDS
        if old or entry["queue_id"] == found:
            _run(engine, mta, "postsuper", "-d", entry["queue_id"])


def _run(engine: Engine, mta: Container, *argv: str) -> bytes:
    try:
        return engine.execute(mta, argv)
    except EngineError as error:
        raise UnreachableError(error.message, HINT) from None

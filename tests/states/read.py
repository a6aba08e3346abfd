"""What one release finds in a state, told as JSON: run with that release's own code.

    python -m tests.states.read ROOT

ROOT is the folder that holds `state`. First everybody gets the message on standard input, as a
running machine would deliver it. The code of each release is kept with this module in it, so that
the present one can ask it what it makes of a state; see `earlier`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from firstboot.base.paths import Paths
from firstboot.base.settings import read_settings
from firstboot.base.state import claim_state
from firstboot.disk.places import Places
from firstboot.disk.recovery import read_record
from firstboot.update.automatic import read_schedule
from firstboot.update.history import read_history
from firstboot.update.settle import read_failure
from postmaster.delivery import deliver
from tests.states.make import open_mail


def read_state(paths: Paths, message: bytes) -> dict[str, Any]:
    """Start on the state, deliver `message` to all, and read what there is."""
    claim_state(paths.state_format)
    settings = read_settings(paths.settings)
    schedule = read_schedule(paths.update_schedule)
    record = read_record(Places(paths))
    attempts = read_history(paths.update_history)
    assert settings is not None
    assert schedule is not None
    assert record is not None
    addresses = [person.address for person in settings.people]
    return {
        "hostname": settings.hostname,
        "people": {person.address: list(person.aliases) for person in settings.people},
        "attempts": [attempt.as_json() for attempt in attempts],
        "scheduled": {"version": schedule.version, "at": schedule.at.isoformat()},
        "last_failure": read_failure(paths, attempts[-1].version),
        "recovery": asdict(record),
        "mail": {address: asyncio.run(_mail(paths, address, message)) for address in addresses},
    }


async def _mail(paths: Paths, address: str, message: bytes) -> dict[str, Any]:
    async with open_mail(paths) as mail:
        await deliver(mail.store, address, message)
        return await mail.read(address)


if __name__ == "__main__":
    found = read_state(Paths.below(Path(sys.argv[1])), sys.stdin.buffer.read())
    print(json.dumps(found))

"""Limits on what people send: recipients by the hour and by the day, counted in Redis.

A stolen password shall not cost the machine its good name, so whoever sends to very many is stopped
until the clock's next hour or day (UTC), and the owner is told. A person is counted by the main
address, whatever password or alias the login was with. Without Redis nothing is counted, and
everybody may send.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from postmaster.directory.alarms import Alarm, leave_alarm
from postmaster.directory.cache import Cache
from postmaster.directory.sending_limits import Limit, Refusal
from postmaster.logs import event, warn

logger = logging.getLogger(__name__)

TOLD_SECONDS = 86_400  # further refusals of the same person meanwhile are the same incident


class SendingCounter:
    """Counts what is sent, refuses what is too much, and leaves an alarm once an incident."""

    def __init__(
        self,
        cache: Cache,
        alarms: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ask = cache.ask
        self._alarms = alarms
        self._clock = clock

    async def take(self, limits: Iterable[Limit], person: str, recipients: int) -> Refusal | None:
        """Count a message of a person; None when it may go. One that is refused is not counted."""
        now = self._clock()
        counted: list[Limit] = []
        for limit in limits:
            counted.append(limit)
            count = await self._add(limit, person, recipients, now)
            if count is None or count <= limit.most:
                continue
            for done in counted:
                await self._add(done, person, -recipients, now)
            refusal = Refusal(limit, limit.until(now), never=recipients > limit.most)
            warn(logger, "sending-limited", person=person, limit=limit.name, most=limit.most)
            await self._alarm(person, refusal, now)
            return refusal
        return None

    async def _add(self, limit: Limit, person: str, recipients: int, now: float) -> int | None:
        key = limit.key(person, now)
        count = await self._ask(["INCRBY", key, str(recipients)])
        # No counter lives for ever, whatever happened in between.
        await self._ask(["EXPIRE", key, str(limit.period)])
        return count if isinstance(count, int) else None

    async def _alarm(self, person: str, refusal: Refusal, now: float) -> None:
        who = "" if refusal.limit.of_machine else person
        mark = f"send:told:{hashlib.sha256(who.encode()).hexdigest()[:32]}"
        if await self._ask(["SET", mark, "1", "EX", str(TOLD_SECONDS), "NX"]) is None:
            return
        when = datetime.datetime.fromtimestamp(now, datetime.UTC)
        alarm = Alarm(who, refusal.limit.name, refusal.limit.most, when, refusal.until)
        try:
            await asyncio.to_thread(leave_alarm, self._alarms, alarm)
        except OSError as error:
            warn(logger, "alarm-not-left", reason=error.strerror)
            await self._ask(["DEL", mark])
            return
        event(logger, "alarm", person=who or "everybody", limit=refusal.limit.name)

"""When a vault does what can wait: after a while without work, a little at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from postmaster.errors import StorageUnavailableError
from postmaster.logs import warn
from postmaster.storage.interface import Mailbox

logger = logging.getLogger(__name__)

IDLE_SECONDS = 2.0
SHARE = 4  # rests so many times as long as a step took


class Idle:
    """Calls `Mailbox.tidy` on a vault's thread while nobody else uses it."""

    def __init__(self, run: Callable[[Callable[[Mailbox], bool]], Awaitable[bool]]) -> None:
        """`run`: runs work on the vault's thread."""
        self._run = run
        self._timer: asyncio.TimerHandle | None = None
        self._step: asyncio.Task[None] | None = None
        self._stopped = False

    def touch(self) -> None:
        """Note that the vault was used: what can wait waits again."""
        self._schedule(IDLE_SECONDS)

    async def stop(self) -> None:
        """End it after the step under way."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._step is not None:
            await asyncio.wait([self._step])

    def _schedule(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._stopped:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._begin)

    def _begin(self) -> None:
        self._timer = None
        if self._step is None or self._step.done():
            self._step = asyncio.ensure_future(self._tidy())

    async def _tidy(self) -> None:
        started = time.monotonic()
        try:
            more = await self._run(lambda box: box.tidy())
        except StorageUnavailableError as error:
            warn(logger, "tidying-failed", reason=str(error))
            return
        if more and self._timer is None:
            self._schedule((time.monotonic() - started) * SHARE)

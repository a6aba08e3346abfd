"""First logins: the key goes under the password when the answer was given, and nobody waits.

A first login checks the password against the settings' hash, which costs one Argon2id; the wrap
costs a second one. Who logs in, and everybody behind, would wait for both, and Postfix gives up
after 10 s. So the wrap is made afterwards. Until it is on disk the provisional one stays: after a
cut at any instant the next login begins anew. The password is kept in memory meanwhile, and
nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from postmaster.directory.accounts import Accounts
from postmaster.errors import PostmasterError
from postmaster.logs import event, warn

logger = logging.getLogger(__name__)

REST_SECONDS = 10.0  # without a login: who reads mail logs in for sending next
PATIENCE_SECONDS = 60.0  # for such a rest

Run = Callable[[Callable[[], bool]], Awaitable[bool]]


class FirstLogins:
    """Whose keys are still to be put under a password; at most one task for each person."""

    def __init__(
        self,
        accounts: Accounts,
        run: Run,
        *,
        rest: float | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`run` runs what blocks on a thread; `rest` (REST_SECONDS) and `patience` in seconds."""
        self._accounts = accounts
        self._run = run
        self._rest = REST_SECONDS if rest is None else rest
        self._patience = patience
        self._quiet = asyncio.Event()
        self._quiet.set()
        # A login came, or nothing more may be waited for.
        self._disturbed = asyncio.Event()
        self._finishing = False
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def set_busy(self, *, busy: bool) -> None:
        """Tell whether a login waits for its turn, or is being checked."""
        if busy:
            self._quiet.clear()
            self._disturbed.set()
        else:
            self._quiet.set()
            self._disturbed.clear()

    def note(self, address: str, password: str) -> None:
        """Put a person's key under the password that has just been found right, soon."""
        if address not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._lock(address, password))
            self._tasks[address] = task
            task.add_done_callback(lambda _: self._tasks.pop(address))

    async def finish(self) -> None:
        """Return when nothing is to be done any more; logins have ended before."""
        self._finishing = True
        self._quiet.set()
        self._disturbed.set()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def _lock(self, address: str, password: str) -> None:
        with contextlib.suppress(TimeoutError):  # busy all the time: it has to go in between
            await asyncio.wait_for(self._resting(), self._patience)
        try:
            if await self._run(lambda: self._accounts.lock_first(address, password)):
                event(logger, "mail-locked-by-password", person=address)
        except PostmasterError as error:
            # The next login tries again.
            warn(logger, "mail-not-locked", person=address, reason=str(error))

    async def _resting(self) -> None:
        """Return when no login came for a while."""
        while not self._finishing:
            await self._quiet.wait()
            try:
                await asyncio.wait_for(self._disturbed.wait(), self._rest)
            except TimeoutError:
                return

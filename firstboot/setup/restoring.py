"""A restore that a seed asks for: tried when the network is up, and again until it works."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from firstboot.base.backupplaces import kind_of
from firstboot.base.errors import MailsteadError
from firstboot.base.paths import Paths
from firstboot.setup.seed import BringBack, RestoreSeed
from firstboot.system.console import Console
from firstboot.system.networkd import await_online, connect_before_setup

RETRY_SECONDS = 60.0
ONLINE_SECONDS = 60


@dataclass
class Restoring:
    """Called at each look for a seed; tries the same restore at most once a minute.

    In between it raises what was wrong. Another seed is tried at once: it may be the correction.
    """

    bring_back: BringBack
    paths: Paths
    console: Console
    clock: Callable[[], float] = time.monotonic
    _tried: RestoreSeed | None = field(default=None, init=False)
    _at: float = field(default=0.0, init=False)
    _error: MailsteadError | None = field(default=None, init=False)

    def __call__(self, seed: RestoreSeed) -> None:
        """Have it fetched; raises a MailsteadError as long as that does not work."""
        if seed == self._tried and self._error and self.clock() - self._at < RETRY_SECONDS:
            # Each time it is raised, it would grow.
            raise self._error.with_traceback(None)
        if seed != self._tried:
            place = seed.order.restore.repository
            self.console.say(f"restore from {place}, as {seed.source} asks")
        self._tried, self._error = seed, None
        try:
            connect_before_setup(self.paths.networkd, seed.order.network)
            if kind_of(seed.order.restore.repository) != "disk":
                await_online(ONLINE_SECONDS)
            self.bring_back(seed)
        except MailsteadError as error:
            self._error, self._at = error, self.clock()
            raise

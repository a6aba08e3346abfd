"""How long restic(1) may try again what a repository does not answer: it has no option for that.

By itself it tries each request for a quarter of an hour. A backup holds things still meanwhile, and
people wait for a restore.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from firstboot.system.resticerrors import RepositoryGoneError

# A router that restarts, or a line that gets a new address, takes two or three minutes.
GIVE_UP_SECONDS = 300.0
_FAILED, _WORKED = " returned error, retrying after ", " operation successful after "


@dataclass
class Patience:
    """Called with each line that restic complains with, such as `Save(<data/5d…>) returned error,
    retrying after 1.3s: …`; raises RepositoryGoneError when a request has failed for too long.

    restic pauses ever longer between its tries, up to a minute or so. It complains after each, so
    that no other clock is needed.
    """

    limit: float | None = None
    clock: Callable[[], float] = time.monotonic
    _since: dict[str, float] = field(default_factory=dict, init=False)

    def __call__(self, line: str) -> None:
        now = self.clock()
        if _WORKED in line:
            self._since.pop(line.partition(_WORKED)[0].strip(), None)
        if _FAILED not in line:
            return
        request, _, why = line.partition(_FAILED)
        since = self._since.setdefault(request.strip(), now)
        limit = GIVE_UP_SECONDS if self.limit is None else self.limit
        if now - since >= limit:
            reason = why.partition(": ")[2][-300:]
            raise RepositoryGoneError(
                f"the place of the backups has not answered for {now - since:.0f} s: {reason}",
                "Look at the network, and at what keeps the backups. What was sent is not lost.",
            )

"""One deadline for a wait that has several steps."""

from __future__ import annotations

import time


class Deadline:
    """A point in (monotonic) time, `seconds` from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds that are left, never negative: fit for any `timeout=`."""
        return max(0.0, self._end - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.remaining == 0.0

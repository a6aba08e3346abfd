"""The clock: how long the machine is up, and whether time servers have set it."""

from __future__ import annotations

import time
from pathlib import Path

# Touched by systemd-timesyncd(8) when it has set the clock.
SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")


def is_synchronized(marker: Path = SYNCHRONIZED) -> bool:
    return marker.exists()


def uptime_seconds() -> float:
    """Seconds since the kernel started, time asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)

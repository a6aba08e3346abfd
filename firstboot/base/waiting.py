"""Waiting for a condition with a deadline, so that nobody sleeps and hopes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from firstboot.base.errors import DeadlineError

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T | None],
    *,
    what: str,
    timeout: float,
    interval: float = 0.5,
    slowing: float = 0.0,
    hint: str = "",
) -> T:
    """Return the first value of `condition()` that is neither None nor False.

    It is asked at once, then every `interval` seconds, and a last time when `timeout` seconds are
    over. With `slowing` the intervals grow: they are at least that share of the time gone by, so
    that asking costs little where it takes long. Raises DeadlineError naming `what` if even that
    answer was None or False.
    """
    begin = time.monotonic()
    deadline = begin + timeout
    while True:
        late = time.monotonic() >= deadline
        value = condition()
        if value is not None and value is not False:
            return value
        if late:
            raise DeadlineError(f"{what} did not happen within {timeout:g} s", hint)
        now = time.monotonic()
        time.sleep(min(max(interval, slowing * (now - begin)), max(0.0, deadline - now)))

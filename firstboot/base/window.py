"""The daily time in which a machine upgrades itself: pure arithmetic on times in UTC."""

from __future__ import annotations

import datetime
import random
from dataclasses import dataclass

from firstboot.base.rules import window_minutes

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """From `begin` until just before `end`."""

    begin: datetime.datetime
    end: datetime.datetime

    def __contains__(self, moment: datetime.datetime) -> bool:
        return self.begin <= moment < self.end


def this_or_next(text: str, now: datetime.datetime) -> Window:
    """The window HH:MM-HH:MM that `now` is in, or the next one; it may cross midnight."""
    minutes = window_minutes(text)
    assert minutes is not None, "the settings hold no other windows"
    begin, end = (datetime.timedelta(minutes=value) for value in minutes)
    length = (end - begin) % DAY
    # The one that began yesterday may still be open.
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) - DAY
    while midnight + begin + length <= now:
        midnight += DAY
    return Window(midnight + begin, midnight + begin + length)


def following(text: str, window: Window) -> Window:
    """The window after `window`."""
    return this_or_next(text, window.end)


def random_moment(window: Window, after: datetime.datetime) -> datetime.datetime:
    """A time in what is left of the window, so that not all machines come at once."""
    begin = max(window.begin, after)
    seconds = int((window.end - begin).total_seconds())
    # Not a secret: it only spreads the load.
    return begin + datetime.timedelta(seconds=random.randrange(max(1, seconds)))  # noqa: S311

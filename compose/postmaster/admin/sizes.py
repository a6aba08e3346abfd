"""Bytes and times as people read them."""

from __future__ import annotations

from collections.abc import Callable

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
MINUTE, HOUR, DAY = 60, 3600, 86400


def size_of(count: int) -> str:
    """Return such as `1.5 GiB`."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f}".removesuffix(".0") + f" {_UNITS[unit]}"


def ago(text: Callable[..., str], seconds: float) -> str:
    """Return how long ago something was: no browser tells in which time zone it is."""
    if seconds < MINUTE:
        return text("common.now")
    if seconds < HOUR:
        return text("common.minutes", count=int(seconds // MINUTE))
    if seconds < DAY:
        return text("common.hours", count=int(seconds // HOUR))
    if seconds < 2 * DAY:
        return text("common.yesterday")
    return text("common.days", count=int(seconds // DAY))

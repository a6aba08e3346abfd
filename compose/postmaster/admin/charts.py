"""Small graphs of counts: bars, as numbers for a template to draw (templates/chart.j2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# In the graph's own units; the page stretches it to whatever room there is.
STEP, BAR, HEIGHT = 10, 8, 48
_LEAST = 2  # of a bar that is not nothing


@dataclass(frozen=True)
class Bar:
    """One bar; `title` is shown where the mouse rests."""

    x: int
    y: int
    height: int
    title: str


@dataclass(frozen=True)
class Chart:
    """A graph; `unknown` is the width at its left for which nothing is known."""

    width: int
    height: int
    unknown: int
    bars: Sequence[Bar]
    total: int
    most: int
    bar: int = BAR  # the width of each


def make_chart(counts: Sequence[tuple[str, int]], places: int) -> Chart:
    """Return the graph of counts with their titles, the last at its right, in so many places."""
    most = max((count for _, count in counts), default=0)
    first = places - len(counts)
    bars = []
    for number, (title, count) in enumerate(counts, first):
        height = max(_LEAST, round(HEIGHT * count / most)) if count else 0
        bars.append(Bar(number * STEP + 1, HEIGHT - height, height, f"{title}: {count}"))
    total = sum(count for _, count in counts)
    return Chart(places * STEP, HEIGHT, first * STEP, bars, total, most)

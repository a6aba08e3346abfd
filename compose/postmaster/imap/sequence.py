"""Sequence sets (RFC 9051 9, `sequence-set`): parsed to ranges, written compactly."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

STAR = 0  # stands for `*`, the largest number in use; 0 itself is no number of a message
MAX_RANGES = 20_000


@dataclass(frozen=True)
class SequenceSet:
    """Ranges as the client wrote them; `*` is STAR."""

    ranges: tuple[tuple[int, int], ...]
    saved: bool = False  # `$`, which has no ranges of its own

    def select(self, numbers: Sequence[int]) -> list[int]:
        """Return those of the ascending `numbers` that are in the set, ascending.

        `*` is the largest of `numbers`; numbers that do not exist are passed over.
        """
        if not numbers:
            return []
        chosen: list[int] = []
        for low, high in self.resolved(numbers[-1]):
            chosen += numbers[bisect_left(numbers, low) : bisect_right(numbers, high)]
        return chosen

    def resolved(self, largest: int) -> list[tuple[int, int]]:
        """Return ascending (low, high) that do not overlap, with `*` put in."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted(self._ordered(largest)):
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return merged

    def _ordered(self, largest: int) -> Iterator[tuple[int, int]]:
        for first, last in self.ranges:
            low, high = sorted((first or largest, last or largest))
            yield low, high


SAVED_RESULT = SequenceSet((), saved=True)


def parse_sequence_set(text: str) -> SequenceSet:
    """Parse `1:4,7,*`. Raises ValueError."""
    parts = text.split(",", MAX_RANGES)
    if len(parts) > MAX_RANGES:
        raise ValueError("too many ranges")
    ranges = []
    for part in parts:
        first, colon, last = part.partition(":")
        low = _number(first)
        ranges.append((low, _number(last) if colon else low))
    return SequenceSet(tuple(ranges))


def format_sequence_set(numbers: Iterable[int]) -> str:
    """Write numbers in the order given, runs of neighbours as ranges."""
    parts: list[str] = []
    start = previous = None
    for number in chain(numbers, (None,)):
        if previous is not None and number == previous + 1:
            previous = number
            continue
        if start is not None:
            parts.append(str(start) if start == previous else f"{start}:{previous}")
        start = previous = number
    return ",".join(parts)


def _number(text: str) -> int:
    if text == "*":
        return STAR
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise ValueError("a number is expected")
    number = int(text)
    if not 0 < number < 2**32:
        raise ValueError("a number of a message is expected")
    return number

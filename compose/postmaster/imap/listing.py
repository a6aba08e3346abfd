"""Patterns of LIST and LSUB (RFC 3501 6.3.8): `*` is anything, `%` anything on one level."""

from __future__ import annotations

import re
from collections import defaultdict

from postmaster.storage.interface import DELIMITER, INBOX

_WILDCARDS = re.compile(r"[*%]+")


class Pattern:
    """A compiled pattern; matching takes time in proportion to the name, for any pattern.

    A regular expression would not do: `%a%a%a…` against `aaaa…` could take for ever. So all
    places in the pattern where a match may have got to are kept, as the bits of a number.
    """

    def __init__(self, pattern: str) -> None:
        """INBOX is written without regard to case."""
        # Of neighbouring wildcards the strongest is enough, so none follows another below.
        pattern = _WILDCARDS.sub(lambda run: "*" if "*" in run.group() else "%", pattern)
        if pattern.upper() == INBOX or pattern.upper().startswith(INBOX + DELIMITER):
            pattern = INBOX + pattern[len(INBOX) :]
        self._end = 1 << len(pattern)
        self._literals: defaultdict[str, int] = defaultdict(int)
        self._stars = self._percents = 0
        for place, character in enumerate(pattern):
            if character == "*":
                self._stars |= 1 << place
            elif character == "%":
                self._percents |= 1 << place
            else:
                self._literals[character] |= 1 << place

    def __call__(self, name: str) -> bool:
        """Say whether the whole name matches."""
        places = self._past_wildcards(1)
        for character in name:
            stay = self._stars if character == DELIMITER else self._stars | self._percents
            step = (places & self._literals.get(character, 0)) << 1
            places = self._past_wildcards((places & stay) | step)
        return bool(places & self._end)

    def _past_wildcards(self, places: int) -> int:
        return places | (places & (self._stars | self._percents)) << 1

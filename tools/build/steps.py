"""Build steps whose results are kept by the fingerprint of what went into them.

A result is a directory that is whole or not there, so an interrupted build leaves nothing that a
later one could mistake for a result. Old results go by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.host.cache import filling, mark_used, remove

# Enough to go back and forth between two states of a checkout.
KEPT_RESULTS = 3


@dataclass(frozen=True)
class Steps:
    """Runs steps, with results below `folder` and a line to `report` for each that is not there.

    Use it under the cache's lock.
    """

    folder: Path
    report: Callable[[str], None]

    def run(self, name: str, inputs: str, make: Callable[[Path], None]) -> Path:
        """The directory with the result of step `name` for the fingerprint `inputs`.

        `make` fills an empty directory when there is no result yet. What it raises is passed on,
        and leaves nothing behind.
        """
        result = self.folder / f"{name.replace(' ', '-')}-{inputs[:16]}"
        if not result.is_dir():
            self.report(f"Building the {name} …")
            started = time.monotonic()
            with filling(result) as unfinished:
                make(unfinished)
            self.report(f"Built the {name} in {time.monotonic() - started:.0f} s.")
        mark_used(result)
        self._discard_old(result)
        return result

    def _discard_old(self, result: Path) -> None:
        name = result.name.rpartition("-")[0]
        results = [path for path in self.folder.glob(f"{name}-{'[0-9a-f]' * 16}") if path.is_dir()]
        newest_first = sorted(results, key=lambda path: path.stat().st_mtime, reverse=True)
        for old in newest_first[KEPT_RESULTS:]:
            remove(old)

"""The table of persistent formats in docs/state.md, as values, and the rule that it is under."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "state.md"
NUMBER = "format"


@dataclass(frozen=True)
class Row:
    """A row: a word in capitals in `path` stands for any name, a / at its end for all below.

    `version` is what the present code writes, None for what has none; `reads` what it can use.
    """

    path: str
    version: int | None
    reads: tuple[int, ...]

    def covers(self, name: str) -> bool:
        """Whether this file, or folder, is one that the row is about."""
        pattern = re.sub(r"\b[A-Z]+\b", "[^/]+", re.escape(self.path))
        end = ".*" if self.path.endswith("/") else ""
        return re.fullmatch(pattern + end, name) is not None

    def backed_by(self, name: str) -> bool:
        """Whether `name` is what the row is about, or the folder of that."""
        return any(self.covers(name + end) for end in ("", "/", "/X"))


@cache
def rows() -> tuple[Row, ...]:
    """All rows; ValueError for a version that is neither a number nor `none`."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition("## The formats")[2].partition("\n## ")[0]
    cells = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| `")]
    return tuple(
        Row(path.strip(" `"), next(iter(_numbers(version)), None), _numbers(reads))
        for path, _, version, reads, *_ in cells
    )


def row_of(path: str) -> Row:
    """The row about a path."""
    return next(row for row in rows() if row.path == path)


def step_problems(before: Sequence[Row], after: Sequence[Row]) -> list[str]:
    """What is wrong with going from one release's formats to the next one's, and back.

    Both are rows that have a version, and have one for the number of all.
    """
    old = {row.path: row for row in before}
    problems = [
        f"{row.path}: the release before does not read {row.version}: expand first"
        for row in after
        if row.path in old and row.version not in old[row.path].reads
    ]
    changed = [row.path for row in after if row.path != NUMBER and old.get(row.path, row) != row]
    (number,) = (row.version for row in after if row.path == NUMBER)
    if changed and number == old[NUMBER].version:
        problems.append(f"{', '.join(changed)}: raise STATE_FORMAT by one")
    return problems


def _numbers(cell: str) -> tuple[int, ...]:
    return () if cell.strip() == "none" else tuple(int(number) for number in cell.split(","))

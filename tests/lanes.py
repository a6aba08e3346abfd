"""Which tests run side by side: a machine that boots leaves a processor idle most of the time."""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling

# What shares something dear, such as a machine or a stack, stays in one lane. The first that fits
# counts: the board's tests need no upgraded machine, and have one of their own in another lane.
TOGETHER = (
    ("tests/boot/life/test_c_board.py",),
    ("tests/boot/life/",),
    # Chromium breaks off what it loads when a network interface comes or goes, as containers' do.
    ("tests/stack/", "tests/web/"),
    ("tests/interop/",),
)
# Each of these has a machine of its own.
APART = ("tests/boot/test_refusals.py",)
# Begun in this order, and everything else afterwards: what takes long must not begin last, nor what
# may hang. While one lane has the image built, the other begins with what needs none.
ORDER = ("tests/boot/life/", "tests/unit/firstboot/", "tests/boot/", "tests/stack/")


class Lanes(LoadScopeScheduling):  # type: ignore[misc]
    """Hands each lane, a process of pytest-xdist, one file or one of TOGETHER after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_unit(nodeid)


def lane_unit(nodeid: str) -> str:
    """What runs in one piece with it: its file, the first of its TOGETHER, or nothing (APART)."""
    if nodeid.startswith(APART):
        return nodeid
    for folders in TOGETHER:
        if nodeid.startswith(folders):
            return folders[0]
    return nodeid.partition("::")[0]


def longest_first(items: list[pytest.Item]) -> None:
    """Put items into ORDER; what is alike in that stays in its own order."""
    items.sort(key=lambda item: rank(lane_unit(item.nodeid)))


def rank(unit: str) -> int:
    """The place of a lane's unit in ORDER, whose first is a unit, and the others folders."""
    first, *folders = ORDER
    if unit == first:
        return 0
    found = (place for place, folder in enumerate(folders, 1) if unit.startswith(folder))
    return next(found, len(ORDER))

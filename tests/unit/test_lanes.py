"""The lanes keep together what shares something."""

from __future__ import annotations

import pytest

from tests.lanes import lane_unit, rank


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tests/boot/life/test_a_first_day.py::TestFirstDay::test_x", "tests/boot/life/"),
        ("tests/boot/life/test_c_board.py::TestBoard::test_x", "tests/boot/life/test_c_board.py"),
        ("tests/boot/test_release.py::TestRelease::test_x[a::b]", "tests/boot/test_release.py"),
        ("tests/boot/test_refusals.py::test_x", "tests/boot/test_refusals.py::test_x"),
        ("tests/stack/test_logins.py::test_x", "tests/stack/"),
        ("tests/web/test_setup.py::test_x", "tests/stack/"),
        ("tests/interop/test_curl.py::test_x", "tests/interop/"),
        ("tests/unit/tools/test_x.py::test_y", "tests/unit/tools/test_x.py"),
    ],
)
def test_what_shares_something_stays_in_one_lane(nodeid: str, unit: str) -> None:
    assert lane_unit(nodeid) == unit


def test_what_takes_long_or_may_hang_does_not_begin_last() -> None:
    order = [
        "tests/boot/life/",
        "tests/unit/firstboot/test_x.py",
        "tests/boot/life/test_c_board.py",
        "tests/stack/",
        "tests/interop/",
    ]
    assert [rank(unit) for unit in order] == [0, 1, 2, 3, 4]

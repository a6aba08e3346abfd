"""Windows of the day, and the moments drawn from them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstboot.base.window import DAY, following, random_moment, this_or_next


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(f"2026-12-{text}:00+00:00")


@pytest.mark.parametrize(
    ("window", "now", "begin", "end"),
    [
        ("02:00-05:00", "10T01:59", "10T02:00", "10T05:00"),
        ("02:00-05:00", "10T02:00", "10T02:00", "10T05:00"),
        ("02:00-05:00", "10T04:59", "10T02:00", "10T05:00"),
        ("02:00-05:00", "10T05:00", "11T02:00", "11T05:00"),
        ("23:00-01:00", "10T00:30", "09T23:00", "10T01:00"),
        ("23:00-01:00", "10T12:00", "10T23:00", "11T01:00"),
        ("23:00-01:00", "10T23:30", "10T23:00", "11T01:00"),
    ],
)
def test_this_or_next(window: str, now: str, begin: str, end: str) -> None:
    found = this_or_next(window, at(now))
    assert (found.begin, found.end) == (at(begin), at(end))
    assert following(window, found).begin == found.begin + DAY


TIMES = st.times().map(lambda time: f"{time:%H:%M}")


@given(TIMES, TIMES, st.datetimes(datetime.datetime(2020, 1, 1), datetime.datetime(2040, 1, 1)))
def test_moment_lies_in_what_is_left(begin: str, end: str, naive: datetime.datetime) -> None:
    now = naive.replace(tzinfo=datetime.UTC)
    if begin == end:
        return
    window = this_or_next(f"{begin}-{end}", now)
    assert now < window.end
    moment = random_moment(window, now)
    assert moment in window
    assert moment >= min(now, window.begin)

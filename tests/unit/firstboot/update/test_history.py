"""The history: kept across versions, and never a reason not to upgrade."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firstboot.update.history import (
    MOST_ATTEMPTS,
    Attempt,
    begin,
    conclude,
    failures,
    pending,
    read_history,
    write_history,
)

ONE = Attempt("2.0.0", "1.0.0", "2026-12-01T03:00:00Z", "network", "pending")


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "updates/history.json"
    assert read_history(path) == ()
    write_history(path, [ONE])
    assert read_history(path) == (ONE,)
    assert json.loads(path.read_text())["attempts"][0]["from"] == "1.0.0"


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    attempts = [Attempt(f"1.0.{n}", "1.0.0", "", "delta", "good") for n in range(200)]
    write_history(path, attempts)
    assert read_history(path) == tuple(attempts[-MOST_ATTEMPTS:])


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"format": 2, "attempts": []}', '{"format": 1}']
)
def test_history_that_cannot_be_read_is_empty(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    assert read_history(path) == ()


def test_attempts_of_a_later_kind_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    good = ONE.as_json()
    others = [
        good | {"outcome": "dreamt"},
        good | {"how": "pigeon"},
        good | {"from": "yesterday"},
        {"version": "2.0.0"},
        "x",
    ]
    data = {"format": 1, "attempts": [*others, good | {"new": "key"}]}
    path.write_text(json.dumps(data))
    assert read_history(path) == (ONE,)


def test_an_attempt_overtakes_the_one_before() -> None:
    second = Attempt("3.0.0", "1.0.0", "", "file", "pending")
    attempts = begin([ONE], second)
    assert [attempt.outcome for attempt in attempts] == ["interrupted", "pending"]
    assert pending(attempts) == second
    ended = conclude(attempts, "failed", "no mail")
    assert pending(ended) is None
    assert conclude(ended, "good", "") == ended
    assert failures(ended) == {"3.0.0": "no mail"}

"""What ends a start by force, and when."""

from __future__ import annotations

from pathlib import Path

EXTRA = Path(__file__).parents[2] / "images/appliance/mkosi.extra"
DEADLINE = "usr/lib/systemd/system/systemd-bless-boot.service.d/deadline.conf"


def test_only_a_version_on_trial_has_a_deadline() -> None:
    """systemd-bless-boot.service is the one unit whose job exists while tries are counted only."""
    with_one = [
        path.relative_to(EXTRA).as_posix()
        for path in EXTRA.rglob("*.*")
        if path.is_file() and "\nJobTimeout" in path.read_text(encoding="utf-8")
    ]
    assert with_one == [DEADLINE]

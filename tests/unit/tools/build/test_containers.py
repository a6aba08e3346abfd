"""What of the services goes into their image."""

from __future__ import annotations

from pathlib import Path

from tools.build.containers import copy_python
from tools.build.source import CHECKOUT

PACKAGE = CHECKOUT / "compose/postmaster"


def test_every_file_of_the_services_is_taken_along(tmp_path: Path) -> None:
    copy_python(PACKAGE, tmp_path)
    there = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file()}
    taken = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    left = {path for path in there - taken if "__pycache__" not in path.parts}
    # What only the build reads.
    assert {path.name for path in left} == {"requirements.in", "requirements.txt"}

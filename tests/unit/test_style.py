"""ruff and mypy, as tests: what they complain about is as wrong as what a test finds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from firstboot.base.run import run

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words",
    [
        ("ruff", "check", "--quiet", "--output-format=concise", ".", "tools/forge"),
        ("ruff", "format", "--check", "--quiet", "--diff", ".", "tools/forge"),
        ("mypy", "firstboot", "tools", "compose/postmaster", "tests"),
    ],
    ids=" ".join,
)
def test_a_checker_finds_nothing(words: tuple[str, ...]) -> None:
    done = run([sys.executable, "-m", *words], cwd=CHECKOUT, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"

"""What makes a run of all tests green or red, by small runs of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from firstboot.base.run import run
from tools.build.source import CHECKOUT

AT_FIRST = """
from pathlib import Path

def test_once():
    mark = Path(__file__).with_suffix(".mark")
    if not mark.exists():
        mark.touch()
        raise AssertionError("the network changed")
"""
ALWAYS = "def test_never(): assert not 'a fault'"
SKIPPED = "import pytest\n\ndef test_left_out(): pytest.skip('no engine')"


def run_of(folder: Path, file: str, text: str, *options: str) -> tuple[int, str]:
    """The exit code and the output of pytest over one file, with what all suites share."""
    path = folder / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-P", "-m", "pytest", "-p", "tests.conftest"]
    done = run(
        [*command, "-p", "no:cacheprovider", *options, file],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_what_fails_once_is_shown_and_does_not_stop_a_change(tmp_path: Path) -> None:
    code, output = run_of(tmp_path, "tests/unit/test_x.py", AT_FIRST, "--reruns=1", "-n1")
    assert code == 0, output
    assert "failed at first, with --reruns: tests/unit/test_x.py::test_once" in output
    assert "AssertionError: the network changed" in output


@pytest.mark.parametrize(
    ("file", "text", "options"),
    [
        ("tests/unit/test_x.py", AT_FIRST, ()),
        ("tests/unit/test_x.py", ALWAYS, ("--reruns=1",)),
        ("tests/boot/test_x.py", AT_FIRST, ("--reruns=1",)),
    ],
    ids=["without --reruns", "each time", "a machine's"],
)
def test_what_fails_stops_a_change(
    file: str, text: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    code, output = run_of(tmp_path, file, text, *options)
    assert code == 1, output


def test_what_is_skipped_stops_a_change(tmp_path: Path) -> None:
    assert run_of(tmp_path / "a", "tests/unit/test_x.py", SKIPPED)[0] == 0
    code, output = run_of(tmp_path / "b", "tests/unit/test_x.py", SKIPPED, "--strict-skips")
    assert code == 1
    assert "1 skipped, which --strict-skips does not allow" in output

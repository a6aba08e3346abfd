"""A load in a process of its own, killed in the midst of its work."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType

CHECKOUT = Path(__file__).parents[3]


def run_and_kill(load: ModuleType, *words: object, seconds: float) -> list[bytes]:
    """Let a load run for so long after its first line; return its lines, which are answers.

    A line that was cut is none.
    """
    with subprocess.Popen(
        [sys.executable, "-m", load.__name__, *map(str, words)],
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
        env={"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'compose'}"},
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        lines += process.stdout.readlines()
        timer.join()
    assert process.returncode == -9
    return [line for line in lines if line.endswith(b"\n")]

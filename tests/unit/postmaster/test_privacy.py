"""A process that keeps keys leaves no core dump and lets nobody look in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import ctypes, resource
from postmaster.privacy import keep_memory_private
libc = ctypes.CDLL(None)
print(libc.prctl(3, 0, 0, 0, 0))
keep_memory_private()
print(libc.prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""  # 3: PR_GET_DUMPABLE


def test_memory_is_kept_private() -> None:
    compose = Path(__file__).parents[3] / "compose"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PYTHONPATH": str(compose)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["1", "0 (0, 0)"]

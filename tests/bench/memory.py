"""The time and memory that a program takes, with all that it starts (proc(5))."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import CommandError

# Memory grows by what is computed in between; each look takes a fraction of that.
_INTERVAL = 0.02
_TAIL = 2000  # characters of what a program said when it failed


@dataclass(frozen=True)
class Used:
    """`seconds` by the clock on the wall; `peak` is the most bytes that were resident at once."""

    seconds: float
    peak: int

    def then(self, other: Used) -> Used:
        """What both take, one after the other."""
        return Used(self.seconds + other.seconds, max(self.peak, other.peak))


def run_measured(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: str = "",
) -> Used:
    """Run a program to its end; CommandError when it fails."""
    words = [str(word) for word in argv]
    started, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile() as fed, tempfile.TemporaryFile() as said:
        fed.write(stdin.encode())
        fed.seek(0)
        with subprocess.Popen(
            words, stdin=fed, stdout=said, stderr=said, env=env, cwd=cwd
        ) as process:
            while process.returncode is None:
                peak = max(peak, sum(_resident(process.pid)))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_INTERVAL)
        seconds = time.perf_counter() - started
        if process.returncode:
            said.seek(0)
            tail = said.read().decode(errors="replace")[-_TAIL:]
            raise CommandError(f"{shlex.join(words)} ended with {process.returncode}:\n{tail}")
    return Used(seconds, peak)


def _resident(pid: int) -> Iterator[int]:
    """Bytes of a process and of each below it; one that is going has none."""
    folder = Path(f"/proc/{pid}")
    try:
        program = (folder / "exe").readlink()
        status = (folder / "status").read_text(encoding="ascii", errors="replace")
        tasks = [(task / "children").read_text().split() for task in (folder / "task").iterdir()]
    except OSError:
        return
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    yield int(fields.get("VmRSS", "0 kB").split()[0]) * 1024
    for child in (int(child) for children in tasks for child in children):
        # A fork that has not become another program yet shares its parent's memory.
        if not _runs(child, program):
            yield from _resident(child)


def _runs(pid: int, program: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").readlink() == program
    except OSError:
        return True

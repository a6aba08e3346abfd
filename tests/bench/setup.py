"""How many keys does a setup on a terminal take, and how long does the machine keep one waiting?

Beside it, the same settings typed as a file: what a setup must not be longer than. The wizard runs
on a pty with the answers of a test, from its first screen until it has handed the settings over.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from firstboot.base.paths import Paths
from tests.unit.firstboot.emulator import Emulator
from tests.unit.firstboot.wizard.test_terminal import ENTER, PASSWORD, SCREENS, asking
from tools.options import json_option

BAUD = 9600
BITS = 10  # of a byte on a serial line: start, eight, stop
_ESCAPE = re.compile(r"\x1b\[[A-D]")  # an arrow is one key
_HASH = re.compile(r"\$argon2\S+")


@dataclass(frozen=True)
class Phase:
    """A screen, from when it was asked for until it was all there; then the keys that answer it.

    `seconds` by the clock on the wall, `cpu_seconds` of the wizard alone, `bytes` sent to draw it.
    """

    screen: str
    keys: int
    seconds: float
    cpu_seconds: float
    bytes: int

    @property
    def serial_seconds(self) -> float:
        """How long the bytes take on a line of 9600 baud."""
        return self.bytes * BITS / BAUD


def count_keys(keys: str) -> int:
    return len(_ESCAPE.sub("x", keys))


def run_setup(paths: Paths) -> list[Phase]:
    """Answer every screen; the last phase is the end of the program."""
    phases = []
    with asking(paths) as terminal:
        watch = _Watch(terminal)
        for number, (title, keys) in enumerate(SCREENS, start=1):
            terminal.expect(f"step {number} of {len(SCREENS)}")
            terminal.expect("Esc back")
            phases.append(watch.phase(title, count_keys(keys)))
            terminal.send(keys)
        terminal.expect("Setup: Summary")
        phases.append(watch.phase("Summary", count_keys(ENTER)))
        terminal.send(ENTER)
        terminal.expect("handed over")
        phases.append(watch.phase("handed over", 0))
    return phases


class _Watch:
    """What has passed on a terminal since the phase before."""

    def __init__(self, terminal: Emulator) -> None:
        self._terminal = terminal
        self._clock, self._cpu, self._bytes = time.monotonic(), 0.0, 0

    def phase(self, screen: str, keys: int) -> Phase:
        now, sent = time.monotonic(), self._terminal.received
        cpu = _cpu_seconds(self._terminal.process)
        found = Phase(screen, keys, now - self._clock, cpu - self._cpu, sent - self._bytes)
        self._clock, self._cpu, self._bytes = now, cpu, sent
        return found


def _cpu_seconds(process: int) -> float:
    """User and system time of a process (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def typed_as_a_file(paths: Paths) -> int:
    """Characters of the settings that came out; a hash counts as the password behind it."""
    return len(_HASH.sub(PASSWORD, paths.handed.read_text(encoding="utf-8")))


@click.command()
@json_option
def main(as_json: bool) -> None:
    """Count and measure one setup on a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths.below(Path(folder))
        paths.state_partition.mkdir(parents=True)
        phases = run_setup(paths)
        peer = typed_as_a_file(paths)
    keys = sum(phase.keys for phase in phases)
    sums = {
        "keys": keys,
        "file_characters": peer,
        "ratio": round(keys / peer, 2),
        "seconds": round(sum(phase.seconds for phase in phases), 2),
        "cpu_seconds": round(sum(phase.cpu_seconds for phase in phases), 2),
        "serial_seconds": round(sum(phase.serial_seconds for phase in phases), 1),
    }
    if as_json:
        listed = [{**asdict(p), "serial_seconds": round(p.serial_seconds, 2)} for p in phases]
        click.echo(json.dumps({**sums, "phases": listed}, indent=2))
        return
    click.echo("screen                keys  seconds   cpu  bytes  at 9600 baud")
    for p in phases:
        cells = f"{p.keys:5}  {p.seconds:7.2f}  {p.cpu_seconds:4.2f}  {p.bytes:5}"
        click.echo(f"{p.screen:20} {cells}  {p.serial_seconds:5.2f} s")
    click.echo(f"\n{keys} keys; the same settings as a file: {peer} characters")
    click.echo(f"{sums['seconds']} s, of which the wizard computed {sums['cpu_seconds']} s")


if __name__ == "__main__":
    main()

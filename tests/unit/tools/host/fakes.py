"""Programs that do nothing but record how they were started."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FakePrograms:
    """A directory that is first on PATH; `log` has one line for each start."""

    folder: Path
    log: Path

    def add(self, name: str, script: str = "") -> None:
        """A program `name` that writes its words to the log and then runs the shell `script`."""
        program = self.folder / name
        program.write_text(
            f'#!/bin/sh\necho {name} "$@" >> {shlex.quote(str(self.log))}\n{script}\n',
            encoding="utf-8",
        )
        program.chmod(0o755)

    def calls(self, name: str = "") -> list[str]:
        """How programs were started, in order; with `name` only those of that program."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [line for line in lines if line.split()[0] == name or not name]

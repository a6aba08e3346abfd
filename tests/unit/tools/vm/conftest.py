"""Fake QEMU, swtpm and guest agent: the harness is tested without booting anything."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from firstboot.base.waiting import wait_for
from tools.vm import session
from tools.vm.accelerator import Accelerator
from tools.vm.emulator import PROGRAM
from tools.vm.firmware import Firmware
from tools.vm.ledger import Ledger

SECONDS = 60.0  # for what happens at once
PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class FakePrograms:
    """Programs on PATH that note their argv, one JSON list a line, and behave as told."""

    folder: Path

    def calls(self, name: str) -> list[list[str]]:
        """The argument lists that the program was started with."""
        log = self.folder / f"{name}.calls"

        def lines() -> list[str] | None:
            return (log.exists() and log.read_text().splitlines()) or None

        # It was started, but may not have got so far yet.
        return [
            json.loads(line)
            for line in wait_for(lines, what=f"the start of {name}", timeout=SECONDS)
        ]

    def behave(self, how: str) -> None:
        """What the next QEMU does: see programs/qemu.py."""
        (self.folder / "behaviour").write_text(how)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fakes are programs in Python, whose start takes a busy host its time."""
    monkeypatch.setattr(session, "START_SECONDS", 5 * SECONDS)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    """Put the fake QEMU and swtpm before everything else on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in {"qemu-system-x86_64": "qemu.py", "swtpm": "swtpm.py"}.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{PROGRAMS / script}" "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("FAKE_PROGRAMS", str(folder))
    return FakePrograms(folder)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger of the test's own."""
    return Ledger(tmp_path / "ledger")


@pytest.fixture
def accelerator() -> Accelerator:
    """An accelerator that does not lengthen deadlines."""
    return Accelerator("fake", (PROGRAM,), ("-accel", "fake"), 1.0, 1)


@pytest.fixture
def firmware(tmp_path: Path) -> Firmware:
    """A pair of firmware files."""
    code, variables = tmp_path / "code.fd", tmp_path / "vars.fd"
    code.write_bytes(b"code")
    variables.write_bytes(b"variables")
    return Firmware(code, variables)

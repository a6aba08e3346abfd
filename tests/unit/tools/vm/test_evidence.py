"""Evidence is kept as far as there is any, and its absence is told."""

from __future__ import annotations

from pathlib import Path

from tests.unit.tools.vm.conftest import FakePrograms
from tools.vm.accelerator import Accelerator
from tools.vm.disk import Disk
from tools.vm.evidence import keep_evidence
from tools.vm.firmware import Firmware
from tools.vm.ledger import Ledger
from tools.vm.machine import Machine


def test_what_there_is_is_kept(
    tmp_path: Path,
    programs: FakePrograms,
    ledger: Ledger,
    accelerator: Accelerator,
    firmware: Firmware,
) -> None:
    disk = Disk(tmp_path / "disk")
    disk.folder.mkdir()
    disk.path.touch()
    with Machine(disk, accelerator=accelerator, firmware=firmware, ledger=ledger) as machine:
        machine.console_log.write_text("BdsDxe")  # the fake QEMU writes no log file
        files = keep_evidence(machine, tmp_path / "evidence")
    names = {path.name for path in files}
    assert {"console.log", "qemu.log", "swtpm.log", "machine.json", "missing.txt"} <= names
    assert "journal.txt: no guest agent" in (tmp_path / "evidence/missing.txt").read_text()


def test_ended_machine_still_leaves_its_logs(
    tmp_path: Path,
    programs: FakePrograms,
    ledger: Ledger,
    accelerator: Accelerator,
    firmware: Firmware,
) -> None:
    disk = Disk(tmp_path / "disk")
    disk.folder.mkdir()
    disk.path.touch()
    with Machine(disk, accelerator=accelerator, firmware=firmware, ledger=ledger) as machine:
        machine.power_cut()
        files = keep_evidence(machine, tmp_path / "evidence")
    assert "machine.json" in {path.name for path in files}
    assert "screen.png" in (tmp_path / "evidence/missing.txt").read_text()

"""A machine with mail, and a disk beside it for backups."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firstboot.backup.engine import Machine
from firstboot.backup.keys import present_recovery, repository_password
from firstboot.backup.targets import opened
from firstboot.base.paths import Paths
from firstboot.base.release import read_release
from firstboot.base.sections import Backup, BackupTarget
from firstboot.base.settings import require_settings
from tests.states.make import SETTINGS, copy_tree, lay_out, make_state
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.repositories import make_repository

NOW = datetime.datetime(2030, 1, 2, 12, 0, tzinfo=datetime.UTC)
HOST = "mail.example.com"
LABEL = "BACKUP"


@dataclass
class Appliance:
    """A set-up machine that backs up to a disk labelled BACKUP, at the time `now`.

    There is an empty repository there, which the machine and its recovery kit open.
    """

    paths: Paths
    disk: Path
    now: datetime.datetime = NOW
    said: list[str] = field(default_factory=list)

    @property
    def repository(self) -> Path:
        return self.disk / "mailstead-backup"

    def make_repository(self, folder: Path) -> bytes:
        recovery = present_recovery(self.paths)
        code = {f"kit-{recovery.kit}": recovery.code.encode()}
        return make_repository(folder, {"machine": repository_password(self.paths), **code})

    def begin_repository(self, machine: Machine) -> None:
        """Have restic make one at the first target, where there is none; its keys are dear."""
        target = machine.targets[0]
        with opened(self.paths, machine.settings.backup, target) as restic:
            assert not restic.exists()
            restic.init()
            assert restic.exists()

    def machine(self, **backup: object) -> Machine:
        settings = require_settings(self.paths.settings)
        chosen = {"targets": (BackupTarget(name="disk", repository=f"disk:{LABEL}"),), **backup}
        return Machine(
            self.paths,
            settings.model_copy(update={"backup": Backup.model_validate(chosen)}),
            read_release(self.paths.release),
            lambda: self.now,
        )

    def files(self) -> dict[str, bytes]:
        """All files below /state that are not the backups' own."""
        root = self.paths.state_partition
        found = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
        return {n: p.read_bytes() for n, p in found.items() if not n.startswith("backup/")}

    def packs(self) -> list[Path]:
        return [path for path in (self.repository / "data").rglob("*") if path.is_file()]


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a machine with two people has below /state; one vault is as a power cut leaves it."""
    folder = tmp_path_factory.mktemp("state")
    make_state("1.2.3", folder)
    return folder / "state"


@pytest.fixture
def appliance(state: Path, tmp_path: Path, programs: FakePrograms) -> Appliance:
    paths = lay_out(tmp_path / "root", "1.2.3")
    copy_tree(state, paths.state_partition)
    for name in ("history.json", "schedule.json", "hashes.json", "manifest.json"):
        (paths.backup / name).unlink()
    paths.settings.write_text(SETTINGS)
    disk = tmp_path / "disk"
    disk.mkdir()
    programs.lsblk({"path": "/dev/sdz1", "label": LABEL, "fstype": "ext4", "mountpoint": str(disk)})
    made = Appliance(paths, disk)
    made.make_repository(made.repository)
    return made

"""From a machine to a fresh one, by the engine's backup and the code on the kit."""

from __future__ import annotations

import shutil
from pathlib import Path

from firstboot.backup.contents import BACKED_UP, covers
from firstboot.backup.engine import back_up
from firstboot.backup.keys import present_recovery
from firstboot.backup.opening import Repository, open_repository
from firstboot.backup.putting import put_in_place
from firstboot.backup.restore import prepare_restore
from firstboot.base.paths import Paths
from tests.unit.firstboot.backup.appliance import Appliance


def test_what_the_engine_backs_up_the_code_brings_back(
    appliance: Appliance, tmp_path: Path
) -> None:
    # None yet: the first backup makes the repository and has the code open it.
    shutil.rmtree(appliance.repository)
    machine = appliance.machine()
    before = {
        name: content
        for name, content in appliance.files().items()
        if any(covers(item.path, name) for item in BACKED_UP) and not name.endswith("-shm")
    }
    back_up(machine, machine.targets, appliance.said.append)
    fresh = Paths.below(tmp_path / "fresh")
    fresh.state_partition.mkdir(parents=True)
    code = present_recovery(appliance.paths).code
    there = Repository(str(appliance.repository), code.encode())
    with open_repository(fresh, there) as restic:
        prepare_restore(restic, restic.snapshots()[-1], fresh)
    put_in_place(fresh)
    root = fresh.state_partition
    assert len(before) > 10
    changed = [
        n for n, c in before.items() if not (root / n).exists() or (root / n).read_bytes() != c
    ]
    assert changed == []
    assert not (root / "disk.json").exists()
    assert fresh.backup_password.read_bytes() == appliance.paths.backup_password.read_bytes()

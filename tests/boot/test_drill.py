"""The restore drill as an owner does it: a folder and a code become a machine that carries mail."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from firstboot.backup.keys import new_recovery, repository_password
from firstboot.backup.kit import Opening, kit_text
from firstboot.base.files import write_atomic
from firstboot.base.paths import Paths
from firstboot.base.state import claim_state
from firstboot.system.restic import Restic
from tests.unit.firstboot.repositories import make_repository
from tools.boot.example import Example, make_example
from tools.drill.commands import restore_drill


@dataclass(frozen=True)
class Backed:
    """A backup in a folder, and the text of its kit."""

    repository: Path
    kit: Path
    example: Example


def back_up_least(folder: Path) -> Backed:
    """The backup of a machine in which nothing has happened yet: its settings, and the keys."""
    paths = Paths.below(folder / "old")
    paths.state_partition.mkdir(parents=True)
    example = make_example()
    claim_state(paths.state_format)
    write_atomic(paths.settings, example.seed, mode=0o600)
    password, recovery = repository_password(paths), new_recovery(paths)
    repository, location = folder / "repository", folder / "location"
    code = {f"kit-{recovery.kit}": recovery.code.encode()}
    make_repository(repository, {"machine": password, **code})
    location.write_text(str(repository))
    (folder / "temporary").mkdir()
    Restic(location, password, folder / "temporary").backup(
        paths.state_partition, host=example.hostname
    )
    kit = folder / "kit.txt"
    openings = [Opening("stick", "disk:BACKUP")]
    write_atomic(kit, kit_text(example.hostname, recovery, openings), mode=0o600)
    return Backed(repository, kit, example)


@pytest.mark.campaign
def test_a_drill_ends_with_a_machine_that_works(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    backed = back_up_least(tmp_path)
    base = request.config.getoption("--base")
    argv = [str(backed.repository), "--kit", str(backed.kit), "--base", base, "--json"]
    done = CliRunner().invoke(restore_drill, argv)
    assert done.exit_code == 0, done.exception or done.output
    found = json.loads(done.stdout)
    assert (found["ok"], found["what"]) == (True, "everything")
    assert found["hostname"] == backed.example.hostname
    states = {check["name"]: check["state"] for check in found["checks"]}
    assert states["round trip"] == "pass"
    assert "gateway" not in states

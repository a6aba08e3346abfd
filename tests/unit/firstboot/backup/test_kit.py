"""The recovery kit: what its page says is true, tried with the commands that it prints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from firstboot.backup import engine, kit_commands
from firstboot.backup.keys import Recovery, present_recovery, read_recovery
from firstboot.backup.kit import Opening, confirm, kit_text, laptop_lines
from firstboot.base.codes import new_recovery_code
from firstboot.base.errors import MachineError
from firstboot.base.paths import Paths
from firstboot.system.resticerrors import BackupError
from tests.unit.firstboot.backup.appliance import Appliance
from tests.unit.firstboot.backup.laptop import require_opens

RECOVERY = Recovery("abcd", new_recovery_code(), "2026-11-24T10:00:00+00:00", 3)
OPENINGS = [
    Opening("home", "sftp:me@backup.example.com:/mail"),
    Opening("cloud", "s3:https://s3.example.com/bucket", "it cannot be reached"),
    Opening("stick", "disk:BACKUP"),
]


def test_the_page_fits_on_paper_and_names_every_place() -> None:
    page = kit_text("mail.example.com", RECOVERY, OPENINGS)
    lines = page.splitlines()
    assert len(lines) <= 60
    assert all(len(line) <= 86 for line in lines)
    assert f"    {RECOVERY.code}" in lines
    for opening in OPENINGS:
        assert opening.repository in page
    assert page.count("NOT OPENED BY THIS CODE YET: it cannot be reached") == 1
    assert "AWS_ACCESS_KEY_ID" in page
    assert "Of several places, take the lines of one." in page


def test_a_group_typed_back_confirms(paths: Paths) -> None:
    with pytest.raises(MachineError, match="no recovery kit yet"):
        confirm(paths, "abcd")
    made = present_recovery(paths)
    right = made.groups[made.group - 1]
    assert not confirm(paths, "")
    assert not confirm(paths, made.code)
    assert confirm(paths, f" {right.upper()} ")
    kept = read_recovery(paths)
    assert kept is not None
    assert kept.confirmed


def test_a_backup_opens_on_a_laptop_by_what_the_kit_prints(
    appliance: Appliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = appliance.machine()
    entries = engine.back_up(machine, machine.targets, appliance.said.append)
    assert all(entry.good for entry in entries), appliance.said
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: appliance.paths)
    monkeypatch.setattr(engine, "read_machine", lambda _paths: machine)
    output = tmp_path / "kit.txt"
    done = CliRunner().invoke(kit_commands.kit, ["--output", str(output)])
    assert done.exit_code == 0, done.exception
    page = output.read_text()
    assert output.stat().st_mode & 0o777 == 0o600
    assert "NOT OPENED" not in page
    there = {"/WHERE/BACKUP/IS/MOUNTED": str(appliance.disk)}
    require_opens(page, there, tmp_path / "laptop", appliance)


@pytest.mark.parametrize(
    ("repository", "version"),
    [
        ("disk:BACKUP", "0.14"),
        ("s3:https://example.com/b", "0.14"),
        ("rest:http://rest.example/", "0.16.1"),
    ],
)
def test_the_page_asks_for_a_restic_that_knows_its_lines(repository: str, version: str) -> None:
    page = kit_text("mail.example.com", RECOVERY, [Opening("home", repository)])
    assert f"(restic {version} or newer)" in page
    assert "Of several places" not in page


def test_another_code_takes_the_place_of_the_old_one(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = appliance.machine()
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: appliance.paths)
    monkeypatch.setattr(engine, "read_machine", lambda _paths: machine)
    before = present_recovery(appliance.paths)
    shutil.rmtree(appliance.repository)
    done = CliRunner().invoke(kit_commands.kit, ["--new", "--yes"])
    assert done.exit_code == 0, done.exception
    after = read_recovery(appliance.paths)
    assert after is not None
    assert after.code != before.code
    assert after.code in done.stdout
    assert before.code not in done.stdout
    assert "the first backup makes it" in done.stdout
    assert laptop_lines([])[-1].endswith("--target mailserver")


@pytest.fixture
def command(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The verb on a machine without a kit, whose place of backups answers nobody."""
    appliance.paths.recovery_code.unlink()
    machine = appliance.machine()
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: appliance.paths)
    monkeypatch.setattr(engine, "read_machine", lambda _paths: machine)
    shutil.rmtree(appliance.repository)

    def invoke(*words: str, typed: str = "") -> Result:
        return CliRunner().invoke(kit_commands.kit, words, input=typed)

    return invoke


def test_offline_no_place_is_tried(command: Callable[..., Result], tmp_path: Path) -> None:
    pdf = tmp_path / "kit.pdf"
    done = command("--offline", "--json", "--pdf", str(pdf))
    found = json.loads(done.stdout)
    assert found["places"] == {"disk": "its next backup sees to that"}
    assert found["code"] in found["page"]
    assert found["confirmed"] is False
    assert pdf.read_bytes().startswith(b"%PDF-")


def test_a_group_from_standard_input(command: Callable[..., Result], appliance: Appliance) -> None:
    made = present_recovery(appliance.paths)
    assert isinstance(command("--confirm", "-", typed="iiii\n").exception, MachineError)
    done = command("--confirm", "-", typed=f"{made.groups[made.group - 1]}\n")
    assert done.exit_code == 0, done.exception
    assert present_recovery(appliance.paths).confirmed


def test_the_kit_is_kept_at_the_console(
    command: Callable[..., Result], appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = present_recovery(appliance.paths)
    written: list[tuple[str, list[str]]] = []

    def write(_paths: Paths, label: str, files: dict[str, bytes]) -> None:
        if label == "WRONG":
            raise BackupError("there is no disk labelled WRONG", "Plug it in.")
        written.append((label, sorted(files)))

    monkeypatch.setattr("firstboot.backup.opening.write_on_stick", write)
    # Later is an answer, too.
    done = command("--keep", "--offline", typed="\n\n")
    assert done.exit_code == 0, done.exception
    assert made.code in done.stdout
    assert len(done.stdout.splitlines()) <= 22
    assert max(map(len, done.stdout.splitlines())) < 90
    assert not present_recovery(appliance.paths).confirmed
    right = made.groups[made.group - 1]
    done = command("--keep", "--offline", typed=f"WRONG\nSTICK\niiii\n{right}\n")
    assert "there is no disk labelled WRONG. Plug it in." in done.stdout
    assert f"That is not group {made.group}." in done.stdout
    names = ["mailstead-recovery-kit.pdf", "mailstead-recovery-kit.txt"]
    assert written == [("STICK", names)]
    assert present_recovery(appliance.paths).confirmed

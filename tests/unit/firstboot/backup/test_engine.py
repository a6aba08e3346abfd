"""Backups of a state with mail, by the real restic: what is in them, and each way to fail."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import json
import os
from pathlib import Path

import pytest

from firstboot.backup.capture import clean_staging, staged
from firstboot.backup.contents import LEFT_OUT, UNSTEADY, covers
from firstboot.backup.engine import TAG, back_up
from firstboot.backup.manifest import NAME, hash_file, parse_manifest
from firstboot.backup.targets import opened
from firstboot.backup.verify import verify
from firstboot.base.backups import read_backups
from firstboot.base.errors import MailsteadError
from firstboot.base.run import run
from firstboot.base.sections import BackupTarget
from firstboot.system.resticerrors import BackupError
from tests.states.make import ADA, BOB, copy_tree, lay_out, open_mail
from tests.unit.firstboot.backup.appliance import HOST, LABEL, Appliance

# In mail of the sample state, of which no byte may be readable outside of vaults.
PLAINTEXTS = (b"Good morning", "Schöne Grüße".encode())
BROKEN = BackupTarget(name="gone", repository="disk:NOWHERE")


def test_a_backup_has_what_it_should(appliance: Appliance, tmp_path: Path) -> None:
    machine = appliance.machine()
    before = appliance.files()
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert entry.reason == ""
    assert entry.checked
    assert read_backups(appliance.paths.backup_history) == (entry,)
    assert "/mailstead-backup" not in "".join(appliance.said), "no path of the machine's"
    with opened(appliance.paths, machine.settings.backup, machine.targets[0]) as restic:
        restic.restore(entry.snapshot, tmp_path / "back")
        (snapshot,) = restic.snapshots(host=HOST, tag=TAG)
    assert snapshot.id.startswith(entry.snapshot)
    back = {
        path.relative_to(tmp_path / "back").as_posix(): path.read_bytes()
        for path in (tmp_path / "back").rglob("*")
        if path.is_file()
    }
    left_out = [item.path for item in LEFT_OUT]
    wanted = {
        name
        for name in before
        if not any(covers(path, name) for path in left_out) and name[-4:] != "-shm"
    }
    assert {name for name in back if not name.startswith("backup/")} == wanted
    assert {name: back[name] for name in wanted} == {name: before[name] for name in wanted}
    assert appliance.files().keys() - before.keys() <= {
        name for name in appliance.files() if name.endswith("-shm")
    }
    manifest = parse_manifest(back[NAME].decode())
    assert (manifest.hostname, manifest.version) == (HOST, "1.2.3")
    steady = {name for name in wanted if not name.startswith(UNSTEADY)}
    for name in steady:
        assert manifest.files[name] == (len(back[name]), hash_file(tmp_path / "back" / name))
    assert not appliance.paths.backup_staging.exists()


def test_mail_can_be_read_from_what_came_back(appliance: Appliance, tmp_path: Path) -> None:
    """Also of a vault that nobody had the key of, and what was sealed for it."""
    machine = appliance.machine()
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    paths = lay_out(tmp_path / "new", "1.2.3")
    with opened(appliance.paths, machine.settings.backup, machine.targets[0]) as restic:
        restic.restore(entry.snapshot, tmp_path / "back")
    copy_tree(tmp_path / "back", paths.state_partition)

    async def count() -> list[int]:
        async with open_mail(paths) as mail:
            found = [await mail.read(person) for person in (ADA, BOB)]
        return [len(one["INBOX"]["messages"]) for one in found]

    assert asyncio.run(count()) == [4, 2]


def test_nothing_readable_is_left_anywhere(appliance: Appliance) -> None:
    machine = appliance.machine()
    back_up(machine, machine.targets, appliance.said.append)
    with staged(appliance.paths) as folder:
        seen = [path for path in folder.rglob("*") if path.is_file()]
        assert any(path.name.endswith(".vault") for path in seen)
        assert any(path.name.endswith(".sealed") for path in seen)
        places = [*seen, *appliance.repository.rglob("*"), *appliance.paths.backup.rglob("*")]
        for path in places:
            if path.is_file():
                content = path.read_bytes()
                assert not any(text in content for text in PLAINTEXTS), path


def test_one_target_that_fails_does_not_stop_the_others(appliance: Appliance) -> None:
    good = BackupTarget(name="disk", repository=f"disk:{LABEL}")
    machine = appliance.machine(targets=(BROKEN, good))
    entries = back_up(machine, machine.targets, appliance.said.append)
    assert [(entry.target, entry.good) for entry in entries] == [("gone", False), ("disk", True)]
    assert "no disk labelled NOWHERE" in entries[0].reason


def test_what_a_cut_left_is_cleaned_and_the_next_one_goes_on(appliance: Appliance) -> None:
    left = appliance.paths.backup_staging / "mail" / "old"
    left.mkdir(parents=True)
    (left / "file").write_text("from before")
    machine = appliance.machine()
    back_up(machine, machine.targets, appliance.said.append)
    (first, second) = (
        read_backups(appliance.paths.backup_history)[0],
        back_up(machine, machine.targets, appliance.said.append)[0],
    )
    assert second.good
    assert second.added < first.added / 2, "what is there is not sent again"
    clean_staging(appliance.paths)
    with opened(appliance.paths, machine.settings.backup, machine.targets[0]) as restic:
        assert "mail/old/file" not in restic.list_files(second.snapshot)


def test_a_wrong_clock_makes_no_backups(appliance: Appliance) -> None:
    appliance.now = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    machine = appliance.machine()
    with pytest.raises(BackupError, match="the clock is wrong"):
        back_up(machine, machine.targets, appliance.said.append)


def test_no_room_is_told_before_anything_is_done(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firstboot.backup.capture.RESERVE_BYTES", 1 << 60)
    machine = appliance.machine()
    with pytest.raises(BackupError, match="a backup needs"):
        back_up(machine, machine.targets, appliance.said.append)
    assert appliance.packs() == []


def test_another_password_is_told_and_harms_nothing(appliance: Appliance) -> None:
    machine = appliance.machine()
    back_up(machine, machine.targets, appliance.said.append)
    password = appliance.paths.backup_password.read_text()
    appliance.paths.backup_password.write_text("0" * 64 + "\n")
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert "does not open it" in entry.reason
    appliance.paths.backup_password.write_text(password)
    assert verify(machine, machine.targets[0], appliance.said.append, everything=True).good


def test_a_missing_pack_is_found_by_the_next_backup(appliance: Appliance) -> None:
    machine = appliance.machine()
    back_up(machine, machine.targets, appliance.said.append)
    max(appliance.packs(), key=lambda path: path.stat().st_size).unlink()
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert not entry.good
    assert "has errors" in entry.reason


def test_a_flipped_bit_is_found_by_verify(appliance: Appliance) -> None:
    machine = appliance.machine()
    (target,) = machine.targets
    back_up(machine, machine.targets, appliance.said.append)
    sample = verify(machine, target, appliance.said.append, everything=False)
    assert sample.good
    assert sample.files > 5
    assert not appliance.paths.backup_scratch.exists()
    pack = max(appliance.packs(), key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)
    entry = verify(machine, target, appliance.said.append, everything=True)
    assert not entry.good
    assert [found.kind for found in read_backups(appliance.paths.backup_history)] == [
        "backup",
        "sample",
        "sample",
    ]


def test_what_the_manifest_denies_is_found(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that changed between disk and repository, which restic itself cannot know."""
    monkeypatch.setattr("firstboot.backup.manifest.hash_file", lambda _: "0" * 64)
    machine = appliance.machine()
    back_up(machine, machine.targets, appliance.said.append)
    entry = verify(machine, machine.targets[0], appliance.said.append, everything=False)
    assert "came back other than it was saved" in entry.reason


def test_a_full_disk_is_told_and_what_is_there_stays(appliance: Appliance, tmp_path: Path) -> None:
    """A file system of 6 MiB."""
    machine = appliance.machine()
    run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", appliance.disk])
    try:
        appliance.make_repository(appliance.repository)
        (first,) = back_up(machine, machine.targets, appliance.said.append)
        assert first.good, first.reason
        spool = appliance.paths.state / "mta" / "spool" / "deferred" / "A"
        spool.mkdir(parents=True)
        (spool / "A1").write_bytes(os.urandom(8 << 20))
        (second,) = back_up(machine, machine.targets, appliance.said.append)
        assert "no room left for the backup" in second.reason
        for file in appliance.repository.rglob("*tmp*"):
            file.unlink()
        assert verify(machine, machine.targets[0], appliance.said.append, everything=True).good
    finally:
        run(["umount", appliance.disk])


def test_two_machines_in_one_repository(appliance: Appliance) -> None:
    """Each sees, and lets go of, its own."""
    mine = appliance.machine(keep={"daily": 1, "weekly": 0, "monthly": 0})
    other = dataclasses.replace(
        mine, settings=mine.settings.model_copy(update={"hostname": "two.example.com"})
    )
    for machine in (mine, other, mine, mine):
        (entry,) = back_up(machine, machine.targets, appliance.said.append)
        assert entry.good, entry.reason
    with opened(appliance.paths, mine.settings.backup, mine.targets[0]) as restic:
        hosts = [snapshot.host for snapshot in restic.snapshots()]
    assert sorted(hosts) == [HOST, "two.example.com"]


def test_a_directory_that_is_missing_is_no_backup(appliance: Appliance) -> None:
    (appliance.paths.state / "directory/database/directory.db").unlink()
    machine = appliance.machine()
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert "without which no vault opens" in entry.reason


def test_a_manifest_of_a_later_version(appliance: Appliance) -> None:
    with pytest.raises(BackupError, match="format 2"):
        parse_manifest(json.dumps({"format": 2}))
    with pytest.raises(MailsteadError, match="cannot be read"):
        parse_manifest("[]")

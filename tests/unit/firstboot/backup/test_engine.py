"""Backups of a state with mail, by the real restic: what is in them, and each way to fail."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from firstboot.backup.capture import clean_staging, staged
from firstboot.backup.contents import LEFT_OUT, UNSTEADY, covers
from firstboot.backup.engine import TAG, Machine, back_up
from firstboot.backup.keys import present_recovery
from firstboot.backup.manifest import NAME, hash_file, parse_manifest
from firstboot.backup.opening import Repository, open_repository
from firstboot.backup.restore import prepare_restore
from firstboot.backup.targets import opened
from firstboot.backup.verify import verify
from firstboot.base.backups import read_backups
from firstboot.base.errors import MailsteadError
from firstboot.base.run import run
from firstboot.base.sections import BackupTarget
from firstboot.system.resticerrors import BackupError
from tests.states.make import ADA, BOB, copy_tree, lay_out, open_mail
from tests.unit.firstboot.backup.appliance import HOST, LABEL, Appliance
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.repositories import leave_lock

# In mail of the sample state, of which no byte may be readable outside of vaults.
PLAINTEXTS = (b"Good morning", "Schöne Grüße".encode())
VERBS = (
    *("backup", "cat", "check", "dump", "forget", "init", "key", "ls"),
    *("restore", "snapshots", "unlock"),
)
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


def test_mail_can_be_read_from_what_came_back(
    appliance: Appliance, state: Path, tmp_path: Path
) -> None:
    """Also of a vault that nobody had the key of, and what was sealed for it."""
    machine = appliance.machine()
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    paths = lay_out(tmp_path / "new", "1.2.3")
    with opened(appliance.paths, machine.settings.backup, machine.targets[0]) as restic:
        restic.restore(entry.snapshot, tmp_path / "back")
    copy_tree(tmp_path / "back", paths.state_partition)

    async def read() -> dict[str, object]:
        async with open_mail(paths) as mail:
            return {person: await mail.read(person) for person in (ADA, BOB)}

    expected = json.loads((state.parent / "expected.json").read_text())["mail"]
    assert [len(expected[person]["INBOX"]["messages"]) for person in (ADA, BOB)] == [4, 2]
    # Each byte, UID and flag, and what the folders know.
    assert asyncio.run(read()) == expected


def test_nothing_readable_is_left_anywhere(
    appliance: Appliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = appliance.machine()
    back_up(machine, machine.targets, appliance.said.append)
    with staged(appliance.paths) as folder:
        seen = [path for path in folder.rglob("*") if path.is_file()]
        assert any(path.name.endswith(".vault") for path in seen)
        assert any(path.name.endswith(".sealed") for path in seen)
        places = [*seen, *appliance.repository.rglob("*"), *appliance.paths.backup.rglob("*")]
        require_unreadable(*places)
    # Where a test restore compares, and where a restore waits for the next start.
    compared: list[str] = []

    def look(path: Path, name: str, *_: object) -> None:
        compared.append(name)
        require_unreadable(*path.parent.iterdir())

    monkeypatch.setattr("firstboot.backup.verify._require_same", look)
    assert verify(machine, machine.targets[0], appliance.said.append, everything=False).good
    assert any(name.endswith(".vault") for name in compared)
    fresh = lay_out(tmp_path / "fresh", "1.2.3")
    with opened(appliance.paths, machine.settings.backup, machine.targets[0]) as restic:
        prepare_restore(restic, restic.snapshots()[-1], fresh)
    assert list(fresh.staging.rglob("*.vault"))
    require_unreadable(*fresh.state_partition.rglob("*"))


def require_unreadable(*paths: Path) -> None:
    for path in paths:
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


def test_power_that_goes_while_it_is_written(appliance: Appliance, programs: FakePrograms) -> None:
    """Killed with the first new pack, index or snapshot: what was there stays, the next goes on."""
    machine = appliance.machine()
    (target,) = machine.targets
    assert back_up(machine, machine.targets, appliance.said.append)[0].good
    queue = appliance.paths.state / "mta" / "spool" / "deferred" / "A"
    queue.mkdir(parents=True)
    restic = shutil.which("restic")
    for number, kind in enumerate(("data", "index", "snapshots"), start=1):
        (queue / f"A{number}").write_bytes(os.urandom(3 << 20))
        count = f"ls -R {appliance.repository / kind} | wc -l"
        programs.add(
            "restic",
            f'case "$*" in *" backup . "*) ;; *) exec {restic} "$@" ;; esac\n'
            f'exec 3<&0\nbefore=$({count})\n{restic} "$@" <&3 &\n'
            f'while [ "$({count})" -le "$before" ] && ! grep -q ") Z" /proc/$!/stat; do :; done\n'
            "kill -9 $!\nwait $!\nexit 137",
        )
        (cut,) = back_up(machine, machine.targets, appliance.said.append)
        (programs.directory / "restic").unlink()
        assert not cut.good
        assert verify(machine, target, appliance.said.append, everything=True).good
        (entry,) = back_up(machine, machine.targets, appliance.said.append)
        assert entry.good, entry.reason


def test_the_upload_limit_is_kept(appliance: Appliance, programs: FakePrograms) -> None:
    programs.add("restic", f'exec {shutil.which("restic")} "$@"')
    machine = appliance.machine(upload_limit="5M")
    assert back_up(machine, machine.targets, appliance.said.append)[0].good
    (written,) = (words for words in programs.calls if "backup" in words)
    assert "--limit-upload=5120" in written


def test_the_repository_is_opened_no_more_often_than_needed(
    appliance: Appliance, tmp_path: Path, programs: FakePrograms
) -> None:
    """Each run of restic takes a second for its key, and another one for each that it tries."""
    programs.add("restic", f'exec {shutil.which("restic")} "$@"')
    machine = appliance.machine()
    assert back_up(machine, machine.targets, appliance.said.append)[0].good
    calls = programs.calls
    assert verbs(calls) == ["key", "backup", "check", "forget"]
    there = Repository(f"disk:{LABEL}", present_recovery(appliance.paths).code.encode())
    fresh = lay_out(tmp_path / "fresh", "1.2.3")
    with open_repository(fresh, there) as found:
        restic = found.entered()
        prepare_restore(restic, restic.snapshots()[-1], fresh)
    assert verbs(programs.calls[len(calls) :]) == ["key", "snapshots", "ls", "restore"]


def test_old_backups_go_once_a_day(appliance: Appliance, programs: FakePrograms) -> None:
    """What did not work is tried again with the next backup."""
    restic = shutil.which("restic")
    programs.add(
        "restic",
        f'case "$*" in *" forget "*) [ ! -e {appliance.disk}/refuse ] || exit 1 ;; esac\n'
        f'exec {restic} "$@"',
    )
    machine = appliance.machine(keep={"daily": 1, "weekly": 0, "monthly": 0})
    refuse = appliance.disk / "refuse"
    refuse.touch()
    assert back_up_and_count(appliance, machine) == 1
    assert "old backups stay for now" in "".join(appliance.said)
    refuse.unlink()
    assert [back_up_and_count(appliance, machine) for _ in range(3)] == [1, 2, 3]
    appliance.now += datetime.timedelta(days=1)
    assert back_up_and_count(appliance, machine) == 1


def back_up_and_count(appliance: Appliance, machine: Machine) -> int:
    """How many backups are at the first target after another one."""
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert entry.good, entry.reason
    with opened(appliance.paths, machine.settings.backup, machine.targets[0]) as restic:
        return len(restic.snapshots())


def verbs(calls: list[list[str]]) -> list[str]:
    """What restic was run for; each time but the first it was told which key to try."""
    found = [words for words in calls if words[0] == "restic"]
    hinted = [any(word.startswith("--key-hint=") for word in words) for words in found]
    assert hinted == [number > 0 for number in range(len(found))]
    return [next(word for word in words if word in VERBS) for words in found]


def test_a_disk_is_mounted_for_the_time(
    appliance: Appliance, tmp_path: Path, programs: FakePrograms
) -> None:
    """Found by its label; by one that two disks have, or none, nothing is written anywhere."""
    disk: dict[str, str | None] = {"path": "/dev/sdz1", "label": LABEL, "fstype": "ext4"}
    programs.lsblk(disk)
    # The real one, of the folder that stands for the disk.
    mount = shutil.which("mount", path="/usr/bin:/bin")
    programs.add("mount", f'exec {mount} --bind --options "$2" {appliance.disk} "$4"')
    machine = appliance.machine()
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert entry.good, entry.reason
    there = Repository(f"disk:{LABEL}", present_recovery(appliance.paths).code.encode())
    fresh = lay_out(tmp_path / "fresh", "1.2.3")
    with open_repository(fresh, there) as restic:
        prepare_restore(restic, restic.snapshots()[-1], fresh)
        with pytest.raises(OSError, match=rf"\[Errno {errno.EROFS}\]"):
            (Path(restic.location.read_text().strip()) / "new").touch()
    mounts = [words for words in programs.calls if words[0] == "mount"]
    options = [words[2].split(",") for words in mounts]
    assert options == [[how, "nosuid", "nodev", "noexec"] for how in ("rw", "ro")]
    assert not any(words[-1] in Path("/proc/mounts").read_text() for words in mounts)
    programs.lsblk(disk, {**disk, "path": "/dev/sdy1"})
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert "more than one disk is labelled BACKUP" in entry.reason
    programs.lsblk({**disk, "label": "PHOTOS"})
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert "there is no disk labelled BACKUP" in entry.reason
    assert "PHOTOS" in entry.reason


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
        appliance.now += datetime.timedelta(days=1)
        (entry,) = back_up(machine, machine.targets, appliance.said.append)
        assert entry.good, entry.reason
    with opened(appliance.paths, mine.settings.backup, mine.targets[0]) as restic:
        hosts = [snapshot.host for snapshot in restic.snapshots()]
    assert sorted(hosts) == [HOST, "two.example.com"]


def test_two_machines_at_the_same_time(appliance: Appliance, state: Path, tmp_path: Path) -> None:
    """Such as one that was restored beside the old one: whoever has to wait is told so."""
    mine = appliance.machine()
    paths = lay_out(tmp_path / "two", "1.2.3")
    copy_tree(state, paths.state_partition)
    settings = mine.settings.model_copy(update={"hostname": "two.example.com"})
    both = (mine, dataclasses.replace(mine, paths=paths, settings=settings))
    with ThreadPoolExecutor(2) as together:
        found = list(together.map(lambda m: back_up(m, m.targets, appliance.said.append), both))
    for (entry,) in found:
        assert entry.good or "somebody else is using the repository" in entry.reason, entry.reason
    for machine in both:
        (entry,) = back_up(machine, machine.targets, appliance.said.append)
        assert entry.good, entry.reason
        assert verify(machine, machine.targets[0], appliance.said.append, everything=True).good


def test_a_lock_of_another_machine(appliance: Appliance) -> None:
    """One that lives is respected; of one that died in the midst it goes by itself."""
    machine = appliance.machine()
    shutil.rmtree(appliance.repository)
    master = appliance.make_repository(appliance.repository)
    assert back_up(machine, machine.targets, appliance.said.append)[0].good
    lock = leave_lock(appliance.repository, master, datetime.timedelta(minutes=1))
    before = sorted(appliance.repository.rglob("*"))
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert "somebody else is using the repository" in entry.reason
    assert sorted(appliance.repository.rglob("*")) == before
    lock.unlink()
    lock = leave_lock(appliance.repository, master, datetime.timedelta(hours=1))
    (entry,) = back_up(machine, machine.targets, appliance.said.append)
    assert entry.good, entry.reason
    assert not lock.exists()
    # A machine that died in the midst of a check must not keep another one from a restore.
    lock = leave_lock(appliance.repository, master, datetime.timedelta(hours=1))
    code = present_recovery(appliance.paths).code.encode()
    with open_repository(appliance.paths, Repository(str(appliance.repository), code)) as restic:
        assert restic.snapshots()
    assert not lock.exists()
    assert verify(machine, machine.targets[0], appliance.said.append, everything=True).good


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

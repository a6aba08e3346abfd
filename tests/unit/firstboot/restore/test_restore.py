"""Restores by the real restic: all of a machine, one person, and every way in which it fails."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from firstboot import cli
from firstboot.backup import staging
from firstboot.backup.keys import new_recovery, read_recovery, repository_password
from firstboot.backup.manifest import FORMAT_TAG
from firstboot.backup.opening import Repository
from firstboot.backup.plan import read_plan
from firstboot.backup.putting import put_in_place
from firstboot.backup.repository import admit_recovery, kit_of
from firstboot.backup.restore import choose_snapshot, prepare_restore
from firstboot.backup.staging import vault_id
from firstboot.base.codes import new_recovery_code
from firstboot.base.errors import MachineError, MailsteadError, ReleaseError, SettingsError
from firstboot.base.paths import Paths
from firstboot.base.state import STATE_FORMAT
from firstboot.system.disk import Disk
from firstboot.system.restic import Restic
from firstboot.system.resticerrors import BackupError, RepositoryDamagedError, WrongPasswordError
from tests.unit.firstboot.restore.conftest import ADA, FILES, SPOOL, VAULT, Backed, files_of, fill
from tests.unit.firstboot.samples import SETTINGS


def restore(restic: Restic, paths: Paths, wanted: str = "latest", only: str = "") -> None:
    chosen = choose_snapshot(restic.snapshots(), wanted)
    prepare_restore(restic, chosen, paths, only=only)


def test_everything_comes_back_byte_for_byte_on_new_hardware(backed: Backed, fresh: Paths) -> None:
    restore(backed.by_code(), fresh)
    assert not fresh.settings.exists()
    put_in_place(fresh)
    found = files_of(fresh)
    assert {name: found[name] for name in FILES} == FILES
    assert found["settings.yaml"] == SETTINGS.encode()
    assert found["disk.json"] == b"of the new disk"
    assert found["machine-id"] == b"of the new machine"
    assert "updates/history.json" not in found
    assert found["backup/password"] == backed.paths.backup_password.read_bytes()
    assert not fresh.restore.exists()


def test_modes_come_back(backed: Backed, fresh: Paths) -> None:
    (backed.paths.state / "secrets").chmod(0o710)
    (backed.paths.state / "secrets" / "directory_key").chmod(0o400)
    backed.back_up()
    restore(backed.by_code(), fresh)
    put_in_place(fresh)
    assert (fresh.state / "secrets").stat().st_mode & 0o777 == 0o710
    assert (fresh.state / "secrets" / "directory_key").stat().st_mode & 0o777 == 0o400


def test_a_restored_machine_goes_on_with_its_backups(backed: Backed, fresh: Paths) -> None:
    restore(backed.by_code(), fresh)
    put_in_place(fresh)
    kept = read_recovery(fresh)
    assert kept is not None
    assert (kept.code, kept.kit, kept.confirmed) == (
        backed.recovery.code,
        backed.recovery.kit,
        True,
    )
    assert not admit_recovery(backed.restic, backed.restic.keys(), kept, fresh)


def test_a_code_that_is_newer_than_the_backup_stays_the_present_one(
    backed: Backed, fresh: Paths
) -> None:
    renewed = new_recovery(backed.paths)
    admit_recovery(backed.restic, backed.restic.keys(), renewed, backed.paths)
    with pytest.raises(WrongPasswordError):
        backed.by_code().snapshots()
    restore(backed.by_code(renewed.code), fresh)
    put_in_place(fresh)
    kept = read_recovery(fresh)
    assert kept is not None
    assert (kept.code, kept.kit) == (renewed.code, renewed.kit)


def test_keys_of_a_repository(backed: Backed) -> None:
    keys = backed.restic.keys()
    names = sorted(key.user for key in keys)
    assert f"kit-{backed.recovery.kit}" in names
    assert len(names) == 2
    assert kit_of(backed.by_code()) == backed.recovery.kit
    assert kit_of(backed.restic) is None
    assert not admit_recovery(backed.restic, keys, backed.recovery, backed.paths)


def test_a_point_in_time(backed: Backed, fresh: Paths) -> None:
    first = backed.restic.snapshots()[0]
    fill(backed.paths, {VAULT: b"later mail"})
    backed.back_up()
    snapshots = backed.restic.snapshots()
    assert choose_snapshot(snapshots, first.short) == first
    assert choose_snapshot(snapshots, first.time[:26]) == first
    assert choose_snapshot(snapshots, "latest") == snapshots[1]
    # The second may be of the next day.
    of_the_day = [found for found in snapshots if found.time[:10] == first.time[:10]]
    assert choose_snapshot(snapshots, first.time[:10]) == of_the_day[-1]
    assert choose_snapshot(snapshots, snapshots[1].time[:10]) == snapshots[1]
    for wanted in ("2020-01-01", "abc", "ffffffffff", "", "20"):
        with pytest.raises(BackupError, match="no backup is called"):
            choose_snapshot(snapshots, wanted)
    with pytest.raises(BackupError, match="there is no backup"):
        choose_snapshot([], "latest")
    restore(backed.by_code(), fresh, first.short)
    put_in_place(fresh)
    assert files_of(fresh)[VAULT] == FILES[VAULT]


def test_one_person_goes_back_and_nobody_else(backed: Backed) -> None:
    paths = backed.paths
    after = {
        VAULT: b"damaged",
        f"{VAULT}-wal": b"damaged, too",
        f"{VAULT}-shm": b"index",
        f"{SPOOL}/2.sealed": b"sealed since",
        "mail/mailstore/vaults/0123.vault": b"somebody else's, later",
        "settings.yaml": SETTINGS.encode() + b"# later\n",
    }
    fill(paths, after)
    (paths.state_partition / f"{SPOOL}/1.sealed").unlink()
    restore(backed.restic, paths, only=ADA.upper())
    assert files_of(paths)[VAULT] == b"damaged"
    put_in_place(paths)
    found = files_of(paths)
    assert found[VAULT] == FILES[VAULT]
    assert found[f"{VAULT}-wal"] == FILES[f"{VAULT}-wal"]
    assert f"{VAULT}-shm" not in found
    assert found[f"{SPOOL}/1.sealed"] == FILES[f"{SPOOL}/1.sealed"]
    assert found[f"{SPOOL}/2.sealed"] == b"sealed since"
    assert found["mail/mailstore/vaults/0123.vault"] == b"somebody else's, later"
    assert found["settings.yaml"].endswith(b"# later\n")


def test_one_person_goes_back_to_a_point_in_time(backed: Backed) -> None:
    first = backed.restic.snapshots()[0]
    fill(backed.paths, {VAULT: b"later mail", "mail/dkim/example.com/m1.pem": b"a later key"})
    backed.back_up()
    fill(backed.paths, {VAULT: b"mail of now"})
    restore(backed.restic, backed.paths, first.time[:26], only=ADA)
    put_in_place(backed.paths)
    found = files_of(backed.paths)
    assert found[VAULT] == FILES[VAULT]
    assert found["mail/dkim/example.com/m1.pem"] == b"a later key"


def test_a_person_without_a_vault_is_refused(backed: Backed, fresh: Paths) -> None:
    with pytest.raises(MachineError, match="no vault of bob"):
        restore(backed.restic, backed.paths, only="bob@example.com")
    with pytest.raises(MachineError, match="no vault of ada"):
        restore(backed.by_code(), fresh, only=ADA)


def test_one_part_goes_back_and_nothing_else(backed: Backed) -> None:
    paths = backed.paths
    after = {"mail/dkim/example.com/m1.pem": b"lost", "mail/dkim/new/m1.pem": b"since", VAULT: b"x"}
    fill(paths, after)
    restore(backed.restic, paths, only="dkim")
    put_in_place(paths)
    found = files_of(paths)
    assert found["mail/dkim/example.com/m1.pem"] == FILES["mail/dkim/example.com/m1.pem"]
    assert "mail/dkim/new/m1.pem" not in found
    assert found[VAULT] == b"x"
    fill(paths, {"settings.yaml": SETTINGS.encode() + b"# later\n"})
    restore(backed.restic, paths, only="settings")
    put_in_place(paths)
    assert files_of(paths)["settings.yaml"] == SETTINGS.encode()


def test_what_is_no_part_is_refused(backed: Backed) -> None:
    with pytest.raises(MachineError, match="'directory' cannot be restored by itself"):
        restore(backed.restic, backed.paths, only="directory")
    with pytest.raises(BackupError, match="has no credentials"):
        restore(backed.restic, backed.paths, only="credentials")


def test_an_interrupted_fetch_goes_on(
    backed: Backed, fresh: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:

        def dies(self: Restic, *_args: object, **_kwargs: object) -> None:
            fill(replace(fresh, state_partition=fresh.staging), {VAULT: FILES[VAULT][:100]})
            raise KeyboardInterrupt

        patched.setattr(Restic, "restore", dies)
        with pytest.raises(KeyboardInterrupt):
            restore(backed.by_code(), fresh)
    assert put_in_place(fresh) is None
    assert (fresh.staging / VAULT).exists()
    restore(backed.by_code(), fresh)
    put_in_place(fresh)
    assert files_of(fresh)[VAULT] == FILES[VAULT]


def test_another_snapshot_begins_anew(backed: Backed, fresh: Paths) -> None:
    restore(backed.by_code(), fresh)
    (backed.paths.state_partition / "mail/tls/key.pem").unlink()
    backed.back_up()
    restore(backed.by_code(), fresh)
    assert not (fresh.staging / "mail/tls/key.pem").exists()


@pytest.mark.parametrize("state_format", [STATE_FORMAT + 2, STATE_FORMAT + 7])
def test_a_backup_of_a_newer_release_is_refused(
    backed: Backed, fresh: Paths, state_format: int
) -> None:
    fill(backed.paths, {"format": f"{state_format}\n".encode()})
    backed.back_up()
    with pytest.raises(ReleaseError, match=f"format {state_format}") as refusal:
        restore(backed.by_code(), fresh)
    assert "release that made the backup" in refusal.value.hint
    assert not fresh.staging.exists()


def test_a_tag_tells_the_format(backed: Backed, fresh: Paths) -> None:
    later = STATE_FORMAT + 2
    folder, tags = backed.paths.state_partition, [f"{FORMAT_TAG}{later}"]
    backed.restic.backup(folder, host="mail.example.com", tags=tags)
    with pytest.raises(ReleaseError, match=f"format {later}"):
        restore(backed.by_code(), fresh)


def test_a_backup_of_the_release_before_is_taken_over(backed: Backed, fresh: Paths) -> None:
    fill(backed.paths, {"format": f"{STATE_FORMAT - 1}\n".encode()})
    backed.back_up()
    restore(backed.by_code(), fresh)
    put_in_place(fresh)
    assert fresh.state_format.read_text() == f"{STATE_FORMAT}\n"


def test_what_is_no_backup_of_ours_is_refused(backed: Backed, fresh: Paths, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("x")
    backed.restic.backup(tmp_path / "other", host="laptop")
    with pytest.raises(BackupError, match="not a backup of a Mailstead machine"):
        restore(backed.by_code(), fresh)


def test_settings_that_cannot_be_used_are_refused(backed: Backed, fresh: Paths) -> None:
    fill(backed.paths, {"settings.yaml": b"version: 1\n"})
    backed.back_up()
    with pytest.raises(SettingsError):
        restore(backed.by_code(), fresh)
    assert read_plan(fresh) is None


def test_damage_in_the_repository_puts_nothing_in_place(backed: Backed, fresh: Paths) -> None:
    for pack in (backed.folder / "data").rglob("*"):
        if pack.is_file() and pack.stat().st_size > 2000:
            pack.chmod(0o600)
            content = bytearray(pack.read_bytes())
            content[len(content) // 3] ^= 1
            pack.write_bytes(content)
    with pytest.raises(MailsteadError) as refusal:
        restore(backed.by_code(), fresh)
    assert isinstance(refusal.value, BackupError | RepositoryDamagedError)
    assert read_plan(fresh) is None
    assert put_in_place(fresh) is None
    assert not fresh.settings.exists()


def test_a_disk_that_is_too_small_is_told_before(
    backed: Backed, fresh: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "read_disk", lambda _path: Disk(1 << 30, 1 << 20, 100.0))
    with pytest.raises(MachineError, match="the restore needs"):
        restore(backed.by_code(), fresh)
    assert not fresh.staging.exists()


# The command.


def command(paths: Paths, monkeypatch: pytest.MonkeyPatch, *words: str, typed: str = "") -> Result:
    monkeypatch.setattr("firstboot.base.paths.Paths", lambda: paths)
    argv = ["backup", "restore", *words]
    return CliRunner().invoke(cli.mailstead, argv, input=typed)


def test_the_command_restores_on_new_hardware(
    backed: Backed, fresh: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = f"{backed.folder}\n{backed.recovery.code.upper()}\n"
    done = command(fresh, monkeypatch, "--json", typed=typed)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["ok"], found["what"], found["at_next_start"]) == (True, "everything", False)
    assert backed.recovery.code not in done.stdout + done.stderr
    assert list((fresh.runtime / "backup").iterdir()) == []
    put_in_place(fresh)
    assert files_of(fresh)[VAULT] == FILES[VAULT]


def test_a_place_that_is_none(fresh: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    done = command(fresh, monkeypatch, typed="ftp:nowhere\n")
    assert done.exit_code == 2
    assert "expected a place such as s3:" in done.stderr
    code, user = new_recovery_code(), "ada"
    done = command(fresh, monkeypatch, typed=f"rest:https://{user}@example.com/\n-\n{code}\n")
    assert isinstance(done.exception, BackupError)
    assert "without user name and password" in str(done.exception)


def test_a_target_of_this_machine_needs_no_more(
    backed: Backed, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = "{name: home, repository: 'rest:http://[::1]:1/'}"
    before = backed.paths.settings.read_text()
    backed.paths.settings.write_text(f"{before}backup: {{targets: [{target}]}}\n")
    seen: list[Repository] = []

    def note(_paths: Paths, repository: Repository) -> None:
        seen.append(repository)
        raise BackupError("seen")

    monkeypatch.setattr("firstboot.backup.opening.open_repository", note)
    done = command(backed.paths, monkeypatch, "--from", "home", "--list")
    assert str(done.exception) == "seen"
    assert seen == [Repository("rest:http://[::1]:1/", repository_password(backed.paths))]


def test_the_command_lists(
    backed: Backed, fresh: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "code"
    code.write_text(backed.recovery.code)
    words = ("--from", str(backed.folder), "--code", str(code), "--list")
    done = command(fresh, monkeypatch, *words)
    assert done.stdout.count("mail.example.com") == 1
    done = command(fresh, monkeypatch, *words, "--json")
    assert len(json.loads(done.stdout)["snapshots"]) == 1


def test_a_machine_that_is_set_up_wants_its_name(
    backed: Backed, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--from", str(backed.folder))
    before = files_of(backed.paths)
    done = command(backed.paths, monkeypatch, *words, "--yes", "mail.example.org")
    assert isinstance(done.exception, MachineError)
    assert read_plan(backed.paths) is None
    done = command(backed.paths, monkeypatch, *words, "--yes", "mail.example.com")
    assert done.exit_code == 0, done.exception
    assert "at the next start" in done.stdout or "power restart" in done.stdout
    assert {n: c for n, c in files_of(backed.paths).items() if n in before} == before
    done = command(backed.paths, monkeypatch, "--cancel")
    assert done.exit_code == 0
    assert files_of(backed.paths) == before


def test_a_slip_in_the_code_is_told_before_anything_is_tried(
    fresh: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = command(fresh, monkeypatch, typed="/nowhere\nabcd-abcd\n")
    assert isinstance(done.exception, MachineError)
    assert "slip" in str(done.exception)


def test_no_repository(
    fresh: Paths, backed: Backed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(backed.folder)
    typed = f"{backed.folder}\n{backed.recovery.code}\n"
    done = command(fresh, monkeypatch, typed=typed)
    assert isinstance(done.exception, BackupError)
    assert "no repository" in str(done.exception)
    assert list((fresh.runtime / "backup").iterdir()) == []


# One mail folder.

FOLDERS = "mail/mailstore/restored"


def ask_for_folder(
    backed: Backed, monkeypatch: pytest.MonkeyPatch, *words: str, folder: str = "Projects"
) -> Result:
    place = ("--from", str(backed.folder), "--only", ADA)
    return command(backed.paths, monkeypatch, *place, "--folder", folder, *words)


@pytest.fixture
def running(backed: Backed) -> Backed:
    """The machine with what a start has made for the mail store, and a later vault."""
    (backed.paths.state_partition / FOLDERS).mkdir()
    fill(backed.paths, {VAULT: b"later mail", f"{VAULT}-wal": b"and its log"})
    return backed


def test_a_mail_folder_waits_for_a_login(running: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files_of(running.paths)
    done = ask_for_folder(running, monkeypatch, "--json", folder="inbox")
    assert done.exit_code == 0, done.exception
    time = running.restic.snapshots()[-1].time
    told = json.loads(done.stdout)
    assert (told["folder"], told["time"]) == (f"INBOX (restored {time[:10]})", time)
    (place,) = (running.paths.state_partition / FOLDERS).iterdir()
    assert place.name.startswith(f"{vault_id(ADA)}.")
    wish = json.loads((place / "wish.json").read_text())
    assert wish == {"format": 1, "folder": "INBOX", "time": time}
    added = {name: data for name, data in files_of(running.paths).items() if name not in before}
    added.pop(f"{FOLDERS}/{place.name}/wish.json")
    assert added == {
        f"{FOLDERS}/{place.name}/mail.vault": FILES[VAULT],
        f"{FOLDERS}/{place.name}/mail.vault-wal": FILES[f"{VAULT}-wal"],
    }
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}
    assert {name: files_of(running.paths)[name] for name in before} == before
    assert not running.paths.restore.exists()


def test_a_mail_folder_of_a_point_in_time(running: Backed, monkeypatch: pytest.MonkeyPatch) -> None:
    first = running.restic.snapshots()[0]
    running.back_up()
    done = ask_for_folder(running, monkeypatch, first.time[:26])
    assert done.exit_code == 0, done.exception
    (place,) = (running.paths.state_partition / FOLDERS).iterdir()
    assert (place / "mail.vault").read_bytes() == FILES[VAULT]
    assert json.loads((place / "wish.json").read_text())["time"] == first.time


def test_the_same_folder_waits_once_and_is_forgotten(
    running: Backed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("Projects", "Projects", "Other/Ümlaut"):
        done = ask_for_folder(running, monkeypatch, folder=folder)
        assert done.exit_code == 0, done.exception
        assert f"  {folder} (restored " in done.stdout
    folders = running.paths.state_partition / FOLDERS
    assert len(list(folders.iterdir())) == 2
    assert command(running.paths, monkeypatch, "--cancel").exit_code == 0
    assert list(folders.iterdir()) == []


@pytest.mark.parametrize("at", ["wish", "owner", "in place"])
def test_a_cut_while_it_is_handed_over(
    running: Backed, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    folders = running.paths.state_partition / FOLDERS

    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        cuts = {"wish": "folder.write_atomic", "owner": "folder.os.chown"}
        patched.setattr(f"firstboot.backup.{cuts.get(at, 'folder.sync_directory')}", cut)
        with suppress(KeyboardInterrupt):
            ask_for_folder(running, monkeypatch)
    assert running.paths.restore.exists()
    # All of it or nothing, at any instant.
    assert len(list(folders.iterdir())) == (1 if at == "in place" else 0)
    assert put_in_place(running.paths) is None
    done = ask_for_folder(running, monkeypatch)
    assert done.exit_code == 0, done.exception
    (place,) = folders.iterdir()
    assert (place / "mail.vault").read_bytes() == FILES[VAULT]


def test_a_folder_that_cannot_wait_is_refused(
    running: Backed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("", "a\nb", "x" * 256):
        done = ask_for_folder(running, monkeypatch, folder=folder)
        assert "is no name of a mail folder" in str(done.exception)
    done = command(running.paths, monkeypatch, "--folder", "Projects", "--only", "settings")
    assert "whose folder it is" in done.stderr
    restore(running.restic, running.paths, only=ADA)
    done = ask_for_folder(running, monkeypatch)
    assert "another restore waits" in str(done.exception)
    command(running.paths, monkeypatch, "--cancel")
    (running.paths.state_partition / FOLDERS).rmdir()
    assert "does not run" in str(ask_for_folder(running, monkeypatch).exception)

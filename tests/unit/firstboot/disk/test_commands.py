"""The commands `mailstead disk …`, over the model of a disk."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from firstboot.base.errors import CommandError, MachineError, SettingsError
from firstboot.disk import commands, places, screen
from firstboot.disk.recovery import read_pending, read_record
from firstboot.system import console
from tests.unit.firstboot.disk.conftest import KEY_FILE, PASSPHRASE, give_tpm
from tests.unit.firstboot.disk.luks import Disk, Slot
from tests.unit.firstboot.samples import SETTINGS


@pytest.fixture(autouse=True)
def machine(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands work on the model, on a machine without consoles."""
    monkeypatch.setattr(places, "Places", lambda: disk.places)
    monkeypatch.setattr(console, "find_consoles", lambda: console.Console(()))
    monkeypatch.setattr(screen, "draw_qr", lambda _: ("█" * 41,) * 21)


def run(*words: str, typed: str = "") -> Result:
    result = CliRunner().invoke(commands.disk, words, input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def only_passphrase(disk: Disk) -> None:
    """A disk that nothing at hand opens."""
    disk.slots = {3: Slot(PASSPHRASE, {"type": "mailstead-passphrase"})}
    disk.places.key_file.unlink()


def test_status(disk: Disk) -> None:
    disk.start()
    assert "key lies beside it" in run("status").output
    assert json.loads(run("status", "--json").output)["unlocked_by"] == "key-file"


def test_a_new_recovery_key_is_shown_and_confirmed(disk: Disk) -> None:
    disk.start()
    shown = run("recovery-key", "new").output
    pending = read_pending(disk.places)
    assert pending is not None
    assert all(group in shown for group in pending.groups)
    with pytest.raises(MachineError, match=f"not group {pending.group}"):
        run("recovery-key", "confirm", "cccccccc")
    asked = run("recovery-key", "confirm", typed=pending.groups[pending.group - 1] + "\n")
    assert "confirmed" in asked.output
    record = read_record(disk.places)
    assert record is not None
    assert record.confirmed
    with pytest.raises(MachineError, match="no recovery key is waiting"):
        run("recovery-key", "confirm")


def test_what_opens_the_disk_is_asked_for_where_it_is_needed(disk: Disk) -> None:
    only_passphrase(disk)
    disk.start(typed=PASSPHRASE)
    disk.places.unlock_key.unlink()
    asked = run("recovery-key", "new", typed=PASSPHRASE + "\n")
    assert "Passphrase or recovery key" in asked.output
    assert PASSPHRASE not in asked.output
    assert not disk.places.unlock_key.exists()
    assert disk.ways() == ["mailstead-passphrase", "systemd-recovery"]


def test_a_wrong_passphrase_changes_nothing(disk: Disk) -> None:
    only_passphrase(disk)
    with pytest.raises(CommandError, match="Unlocking via keyfile failed"):
        run("recovery-key", "new", typed="something else\n")
    assert disk.ways() == ["mailstead-passphrase"]
    assert not disk.places.unlock_key.exists()


def test_once_the_tpm_is_closed_the_old_recovery_key_is_asked_for(disk: Disk) -> None:
    give_tpm(disk, 1)
    disk.places.paths.settings.write_text(SETTINGS)
    disk.start()
    run("enrol")
    disk.close_tpm()
    # As long as it is being shown, root has it anyhow.
    assert "Passphrase or recovery key" not in run("recovery-key", "new").output
    pending = read_pending(disk.places)
    assert pending is not None
    run("recovery-key", "confirm", pending.groups[pending.group - 1])
    assert disk.start() == "tpm2"
    disk.close_tpm()
    before = dict(disk.slots)
    assert run("recovery-key", "new").exit_code != 0
    with pytest.raises(CommandError, match="Unlocking via keyfile failed"):
        run("recovery-key", "new", typed="something else\n")
    assert disk.slots == before
    asked = run("recovery-key", "new", typed=pending.key.replace("-", " ").upper() + "\n")
    assert "Passphrase or recovery key" in asked.output
    assert not disk.fits(pending.key)
    assert not disk.places.unlock_key.exists()
    assert disk.start() == "tpm2"


def test_a_lost_recovery_key_is_replaced_at_the_next_start(disk: Disk) -> None:
    give_tpm(disk, 1)
    disk.places.paths.settings.write_text(SETTINGS)
    disk.start()
    run("enrol")
    pending = read_pending(disk.places)
    assert pending is not None
    run("recovery-key", "confirm", pending.groups[pending.group - 1])
    disk.close_tpm()
    assert "next start" in run("recovery-key", "new", "--at-next-start").output
    assert disk.fits(pending.key)
    disk.start()
    run("enrol")
    assert not disk.fits(pending.key)
    assert read_pending(disk.places) is not None


def test_enrolling_follows_the_settings(disk: Disk) -> None:
    disk.start()
    with pytest.raises(SettingsError, match="not been set up"):
        run("enrol")
    disk.places.paths.settings.write_text(SETTINGS + "disk:\n  protection: key-file\n")
    run("enrol")
    assert disk.ways() == ["", "systemd-recovery"]
    assert disk.places.key_file.read_text() == KEY_FILE
    disk.places.paths.settings.write_text(SETTINGS + "disk:\n  protection: tpm2\n")
    with pytest.raises(MachineError, match="no TPM"):
        run("enrol")


def test_the_dialogue_is_for_the_machine_itself(disk: Disk) -> None:
    assert "dialogue" not in run("--help").output
    assert run("dialogue").output == ""

"""The ways into the disk, brought in line with the choice, with the power cut between any steps."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from firstboot.base.errors import MachineError
from firstboot.disk import protect as module
from firstboot.disk.errors import NoKeyError
from firstboot.disk.protect import Protection, protect, require_possible
from firstboot.disk.recovery import confirm, read_pending, read_record
from firstboot.system.console import Console
from tests.unit.firstboot.disk.conftest import (
    KEY_FILE,
    PASSPHRASE,
    enforce_secure_boot,
    give_tpm,
)
from tests.unit.firstboot.disk.luks import Disk, PowerCut, Slot

WAYS = {
    "tpm2": ["systemd-recovery", "systemd-tpm2"],
    "key-file": ["", "systemd-recovery"],
    "passphrase": ["mailstead-passphrase", "systemd-recovery"],
}
PROTECTIONS: list[Protection] = ["tpm2", "key-file", "passphrase"]


@pytest.fixture(autouse=True)
def typing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody at the console who chooses a passphrase."""
    monkeypatch.setattr(module, "ask_passphrase", lambda _: PASSPHRASE)


def confirm_recovery(disk: Disk) -> str:
    pending = read_pending(disk.places)
    assert pending is not None
    assert confirm(disk.places, pending.groups[pending.group - 1])
    return pending.key


def policies(disk: Disk) -> list[list[int]]:
    return [
        slot.token["tpm2-pcrs"]
        for slot in disk.slots.values()
        if slot.token and slot.token["type"] == "systemd-tpm2"
    ]


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_from_the_first_start_to_what_was_chosen(
    disk: Disk, console: Console, protection: Protection
) -> None:
    give_tpm(disk, 1)
    assert disk.start() == "key-file"
    protect(protection, disk.places, console)
    assert disk.ways() == WAYS[protection]
    assert disk.places.key_file.exists() is (protection == "key-file")
    opened = disk.start(typed=PASSPHRASE)
    assert opened == ("typed" if protection == "passphrase" else protection)


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_nothing_is_done_again(disk: Disk, console: Console, protection: Protection) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect(protection, disk.places, console)
    confirm_recovery(disk)
    disk.start(typed=PASSPHRASE)
    before = dict(disk.slots)
    disk.calls.clear()
    protect(protection, disk.places, console)
    assert disk.slots == before
    assert {call[1] for call in disk.calls} == {"luksDump"}
    assert not disk.places.unlock_key.exists()


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(PROTECTIONS, 2)))
def test_a_change_of_mind(
    disk: Disk, console: Console, first: Protection, second: Protection
) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect(first, disk.places, console)
    recovery = confirm_recovery(disk)
    assert disk.start(typed=PASSPHRASE) is not None
    protect(second, disk.places, console)
    assert disk.ways() == WAYS[second]
    assert disk.fits(recovery)
    record = read_record(disk.places)
    assert record is not None
    assert record.confirmed
    assert disk.places.key_file.exists() is (second == "key-file")


@pytest.mark.parametrize(("first", "second"), list(itertools.product(PROTECTIONS, repeat=2)))
def test_power_cuts(disk: Disk, console: Console, first: Protection, second: Protection) -> None:
    """After a cut before any step the disk opens, and the next starts end where they should."""
    give_tpm(disk, 1)
    disk.start()
    protect(first, disk.places, console)
    confirm_recovery(disk)
    before, key = dict(disk.slots), KEY_FILE
    if first == "key-file":
        key = disk.places.key_file.read_text()
    for lasts in itertools.count():
        disk.slots, disk.steps, disk.lasts = dict(before), 0, 10_000
        disk.places.key_file.unlink(missing_ok=True)
        if first == "key-file":
            disk.places.key_file.write_text(key)
        assert disk.start(typed=PASSPHRASE) is not None
        disk.lasts = lasts
        try:
            protect(second, disk.places, console)
        except PowerCut:
            disk.lasts = 10_000
        else:
            assert lasts > 2
            break
        for _ in range(2):
            assert disk.start(typed=PASSPHRASE) is not None, f"locked after {lasts} steps"
            protect(second, disk.places, console)
        assert disk.ways() == WAYS[second], f"after {lasts} steps"


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_power_cuts_in_the_first_start(
    disk: Disk, console: Console, protection: Protection
) -> None:
    give_tpm(disk, 1)
    for lasts in itertools.count():
        disk.slots, disk.steps, disk.lasts = {0: Slot(KEY_FILE)}, 0, 10_000
        disk.places.key_file.write_text(KEY_FILE)
        disk.places.record.unlink(missing_ok=True)
        disk.start()
        disk.lasts = lasts
        try:
            protect(protection, disk.places, console)
        except PowerCut:
            disk.lasts = 10_000
        else:
            break
        assert disk.start(typed=PASSPHRASE) is not None, f"locked after {lasts} steps"
        protect(protection, disk.places, console)
        assert disk.ways() == WAYS[protection], f"after {lasts} steps"
        assert read_pending(disk.places) is not None


def test_no_tpm_is_refused_with_the_choice(disk: Disk, console: Console) -> None:
    disk.start()
    before = dict(disk.slots)
    with pytest.raises(MachineError, match="no TPM") as caught:
        protect("tpm2", disk.places, console)
    assert "passphrase" in caught.value.hint
    assert "key-file    protects nothing" in caught.value.hint
    assert disk.slots == before
    assert disk.places.key_file.read_text() == KEY_FILE
    require_possible("passphrase", disk.places)
    require_possible("key-file", disk.places)


def test_a_tpm_that_measures_nothing_is_refused(disk: Disk, console: Console) -> None:
    give_tpm(disk, 1)
    disk.places.public_key.unlink()
    disk.start()
    with pytest.raises(MachineError, match="cannot"):
        protect("tpm2", disk.places, console)
    assert disk.ways() == [""]


def test_a_tpm_that_opens_the_disk_needs_no_other_proof(disk: Disk, console: Console) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect("tpm2", disk.places, console)
    disk.places.public_key.unlink()
    assert disk.start() == "tpm2"
    protect("tpm2", disk.places, console)


def test_a_key_file_that_is_not_the_right_one_does_not_get_in_the_way(
    disk: Disk, console: Console
) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect("tpm2", disk.places, console)
    disk.slots[9] = Slot("somebody's key")
    disk.places.key_file.write_text("something else")
    assert disk.start() == "tpm2"
    protect("tpm2", disk.places, console)
    assert disk.ways() == WAYS["tpm2"]
    assert not disk.places.key_file.exists()


def test_a_tpm_that_forgets_takes_nothing_away(disk: Disk, console: Console) -> None:
    give_tpm(disk, 1)
    disk.forgetful = True
    disk.start()
    with pytest.raises(MachineError, match="does not give it back"):
        protect("tpm2", disk.places, console)
    assert disk.start() == "key-file"


@pytest.mark.parametrize("first", [True, False])
def test_a_closed_tpm_stays_quiet_when_nothing_is_to_be_done(
    disk: Disk, console: Console, first: bool
) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect("tpm2", disk.places, console)
    if not first:
        assert disk.start() == "tpm2"
        protect("tpm2", disk.places, console)
    disk.close_tpm()
    before = dict(disk.slots)
    disk.calls.clear()
    protect("tpm2", disk.places, console)
    assert disk.slots == before
    assert {call[1] for call in disk.calls} == {"luksDump"}


def test_a_closed_tpm_is_no_key_at_hand(disk: Disk, console: Console) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect("tpm2", disk.places, console)
    confirm_recovery(disk)
    assert disk.start() == "tpm2"
    disk.close_tpm()
    before = dict(disk.slots)
    with pytest.raises(NoKeyError):
        protect("passphrase", disk.places, console)
    assert disk.slots == before
    disk.start()
    protect("passphrase", disk.places, console)
    assert disk.ways() == WAYS["passphrase"]


def test_a_closed_tpm_gets_no_key_and_takes_no_way_away(disk: Disk, console: Console) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect("key-file", disk.places, console)
    disk.close_tpm()
    before = dict(disk.slots)
    with pytest.raises(MachineError, match="until the next start") as caught:
        protect("tpm2", disk.places, console)
    assert "Start the machine again" in caught.value.hint
    assert disk.slots == before
    assert disk.start() == "key-file"
    protect("tpm2", disk.places, console)
    assert disk.start() == "tpm2"


def test_a_closed_tpm_of_another_board_takes_no_way_away(disk: Disk, console: Console) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect("tpm2", disk.places, console)
    recovery = confirm_recovery(disk)
    disk.slots[9] = Slot(PASSPHRASE, {"type": "mailstead-passphrase"})
    give_tpm(disk, 2)
    assert disk.start(typed=recovery) == "typed"
    disk.close_tpm()
    with pytest.raises(MachineError, match="until the next start"):
        protect("tpm2", disk.places, console)
    assert disk.fits(PASSPHRASE)


def test_secure_boot_turned_on_later_binds_the_tpm_to_it(disk: Disk, console: Console) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect("tpm2", disk.places, console)
    assert policies(disk) == [[]]
    enforce_secure_boot(disk.places)
    disk.start()
    protect("tpm2", disk.places, console)
    assert policies(disk) == [[7]]
    assert disk.start() == "tpm2"


def test_another_board_gets_the_key_although_the_policy_is_the_same(
    disk: Disk, console: Console
) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect("tpm2", disk.places, console)
    recovery = confirm_recovery(disk)
    give_tpm(disk, 2)
    assert disk.start() is None
    assert disk.start(typed=recovery) == "typed"
    protect("tpm2", disk.places, console)
    assert disk.start() == "tpm2"
    assert disk.ways() == WAYS["tpm2"]
    assert disk.fits(recovery)


def test_a_typed_recovery_key_counts_as_confirmed(disk: Disk, console: Console) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect("tpm2", disk.places, console)
    pending = read_pending(disk.places)
    assert pending is not None
    give_tpm(disk, 2)
    assert disk.start(typed=pending.key) == "typed"
    protect("tpm2", disk.places, console)
    assert disk.fits(pending.key)
    assert read_pending(disk.places) is None
    record = read_record(disk.places)
    assert record is not None
    assert record.confirmed


def test_without_any_key_the_disk_stays_as_it_is(disk: Disk, console: Console) -> None:
    disk.slots = {3: Slot(PASSPHRASE, {"type": "mailstead-passphrase"})}
    disk.places.key_file.unlink()
    disk.start(typed=PASSPHRASE)
    disk.places.unlock_key.unlink()
    with pytest.raises(NoKeyError, match="no key"):
        protect("key-file", disk.places, console)
    assert list(disk.slots) == [3]


def test_what_is_not_ours_stays(disk: Disk, console: Console) -> None:
    disk.slots[9] = Slot("", {"type": "systemd-fido2"})
    disk.start()
    protect("key-file", disk.places, console)
    assert "systemd-fido2" in disk.ways()


def test_a_passphrase_is_stretched_and_random_keys_are_not(disk: Disk, console: Console) -> None:
    disk.start()
    protect("passphrase", disk.places, console)
    (added,) = [call for call in disk.calls if call[1] == "luksAddKey"]
    assert added[added.index("--pbkdf") + 1] == "argon2id"
    assert int(added[added.index("--pbkdf-memory") + 1]) <= 256 << 10
    disk.calls.clear()
    disk.start(typed=PASSPHRASE)
    protect("key-file", disk.places, console)
    (added,) = [call for call in disk.calls if call[1] == "luksAddKey"]
    assert added[added.index("--pbkdf") + 1] == "pbkdf2"


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_no_secret_is_in_a_command_or_on_standard_output(
    disk: Disk, protection: Protection, capfd: pytest.CaptureFixture[str]
) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect(protection, disk.places, Console(()))
    said = " ".join(itertools.chain.from_iterable(disk.calls)) + capfd.readouterr().out
    assert "new recovery key" in said
    for slot in disk.slots.values():
        assert slot.secret not in said
        assert slot.secret[:8] not in said


def test_a_key_file_that_cannot_be_written(disk: Disk, console: Console) -> None:
    give_tpm(disk, 1)
    disk.start()
    protect("tpm2", disk.places, console)
    disk.start()
    Path.rmdir(disk.places.paths.esp)
    with pytest.raises(MachineError, match="cannot be written"):
        protect("key-file", disk.places, console)
    assert disk.start() == "tpm2"

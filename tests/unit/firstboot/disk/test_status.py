"""What is said of the disk's protection: no more than is true."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firstboot.disk.status import read_protection
from tests.unit.firstboot.disk.conftest import enforce_secure_boot
from tests.unit.firstboot.disk.luks import Disk, Slot


def tpm(*pcrs: int, signed: tuple[int, ...] = (11,)) -> Slot:
    token: dict[str, Any] = {"type": "systemd-tpm2", "tpm2-pcrs": list(pcrs)}
    return Slot("", token | {"tpm2_pubkey_pcrs": list(signed)}, 1)


RECOVERY = Slot("", {"type": "systemd-recovery"})
TYPED = Slot("", {"type": "mailstead-passphrase"})


@pytest.mark.parametrize(
    ("slots", "secure_boot", "policy", "words"),
    [
        ([tpm(7), RECOVERY], True, "PCR 11 signed + PCR 7", "only to our own system"),
        ([tpm(7), RECOVERY], False, "PCR 11 signed + PCR 7", "turn on Secure Boot"),
        ([tpm(), RECOVERY], True, "PCR 11 signed", "turn on Secure Boot"),
        ([tpm(7), tpm()], True, "PCR 11 signed", "turn on Secure Boot"),
        ([tpm(7, signed=())], True, "PCR 7", "other systems than ours"),
        ([tpm(signed=())], True, "no policy", "other systems than ours"),
        ([TYPED, RECOVERY], True, "", "guesses the passphrase"),
        ([RECOVERY], False, "", "without the recovery key"),
        ([tpm(7), Slot("key file")], True, "PCR 11 signed + PCR 7", "the key lies beside it"),
        ([TYPED, Slot("", {"type": "x"})], False, "", "that Mailstead did not make"),
    ],
)
def test_the_weakest_way_decides(
    disk: Disk, slots: list[Slot], secure_boot: bool, policy: str, words: str
) -> None:
    if secure_boot:
        enforce_secure_boot(disk.places)
    disk.slots = dict(enumerate(slots))
    found = read_protection(disk.places)
    assert found.tpm_policy == policy
    assert words in found.words


@pytest.mark.parametrize(
    ("slots", "told"),
    [([tpm(7), RECOVERY], True), ([Slot(""), RECOVERY], True), ([TYPED, RECOVERY], False)],
)
def test_an_unconfirmed_recovery_key_is_told_where_the_machine_starts_by_itself(
    disk: Disk, slots: list[Slot], told: bool
) -> None:
    disk.slots = dict(enumerate(slots))
    told_words = "can read its recovery key on the screen: confirm it."
    assert (told_words in read_protection(disk.places).words) is told
    disk.places.record.write_text(
        json.dumps({"format": 1, "recovery": {"created": "", "confirmed": True, "slot": 1}})
    )
    assert told_words not in read_protection(disk.places).words


def test_all_of_it(disk: Disk) -> None:
    disk.start()
    disk.slots = {2: tpm(), 5: RECOVERY, 7: Slot("", {"type": "x"})}
    disk.places.record.write_text(
        json.dumps({"format": 1, "recovery": {"created": "", "confirmed": True, "slot": 5}})
    )
    found = read_protection(disk.places).as_json()
    assert found["unlocked_by"] == "key-file"
    assert [(way["name"], way["slots"]) for way in found["ways"]] == [
        ("tpm2", (2,)),
        ("recovery", (5,)),
        ("x", (7,)),
    ]
    assert found["recovery_confirmed"] is True
    assert found["secure_boot"] == "unknown (no UEFI)"
    rows = dict(read_protection(disk.places).rows())
    assert rows["ways into it"] == "tpm2 (slot 2), recovery (slot 5), x (slot 7)"
    disk.places.record.write_text("{")
    assert dict(read_protection(disk.places).rows())["recovery key"] == "NOT CONFIRMED"


def test_a_confirmed_key_that_is_gone_does_not_count(disk: Disk) -> None:
    disk.places.record.write_text(
        json.dumps({"format": 1, "recovery": {"created": "", "confirmed": True, "slot": 5}})
    )
    assert not read_protection(disk.places).recovery_confirmed


def test_a_state_that_is_not_encrypted(disk: Disk) -> None:
    disk.places.mapper.unlink()
    found = read_protection(disk.places)
    assert (found.unlocked_by, found.ways) == ("nothing", ())
    assert "not encrypted" in found.words

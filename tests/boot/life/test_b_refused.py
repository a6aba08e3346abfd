"""Upgrades that are refused."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator

import pytest

from firstboot.base.manifest import Manifest, dump_envelope, dump_manifest
from tests.boot.life.clock import clock_set, time_until_due, upgrading_by_itself
from tests.boot.life.conftest import GOOD, Life
from tests.boot.life.disk import MIB, DiskState, read_disk
from tools.build.image import Built
from tools.keys.keyset import opened_test_keys
from tools.publish.parts import fetched

# Larger than the root of a slot, and smaller than what the state has room for.
HUGE = 2 << 30


def transfers(manifest: Manifest) -> list[str]:
    """The paths of all files of a release but its envelope."""
    return [t.path for part in manifest.parts for t in (part.full, *part.deltas)]


class TestRefused:
    """What must not change a byte of the other slot, nor of the boot loader."""

    @pytest.fixture(autouse=True, scope="class")
    def _disk_untouched(self, life: Life, built: Built, before: DiskState) -> Iterator[None]:
        yield
        assert read_disk(life.machine, built.release.version) == before

    @pytest.fixture(autouse=True)
    def _well_behaved_afterwards(self, life: Life) -> Iterator[None]:
        yield
        life.mirror.forget()
        assert life.update("status")["waiting"] is None

    def test_a_changed_manifest(self, life: Life) -> None:
        envelope = (life.mirror.folder / "stable.json").read_bytes()
        assert b"For tests." in envelope
        life.mirror.replaced["stable.json"] = envelope.replace(b"For tests.", b"For pests.")
        assert "Ed25519" in life.apply()["error"]

    def test_one_wrong_signature_of_two(self, life: Life) -> None:
        envelope = json.loads((life.mirror.folder / "stable.json").read_bytes())
        signature = envelope["signatures"][0]["ml_dsa_65"]
        letter = "B" if signature[100] == "A" else "A"
        envelope["signatures"][0]["ml_dsa_65"] = signature[:100] + letter + signature[101:]
        life.mirror.replaced["stable.json"] = json.dumps(envelope).encode()
        assert "ML-DSA" in life.apply()["error"]

    def test_a_server_that_sends_more_than_it_should(
        self, life: Life, built: Built, good: Manifest
    ) -> None:
        first = fetched(good.parts[0], built.release.version).bytes
        life.mirror.longer = 1
        assert f"has {first + 1} bytes, announced are {first}" in life.apply()["error"]

    def test_a_file_that_is_cut_short(self, life: Life, built: Built, good: Manifest) -> None:
        first = fetched(good.parts[0], built.release.version).bytes
        for path in transfers(good):
            life.mirror.replaced[path] = (life.mirror.folder / path).read_bytes()[:-1]
        assert f"has {first - 1} bytes, announced are {first}" in life.apply()["error"]

    def test_a_file_that_is_not_what_was_signed(self, life: Life, good: Manifest) -> None:
        for path in transfers(good):
            content = bytearray((life.mirror.folder / path).read_bytes())
            content[len(content) // 2] ^= 1
            life.mirror.replaced[path] = bytes(content)
        assert "is not what was signed" in life.apply()["error"]

    def test_a_slot_that_is_too_small(self, life: Life, good: Manifest, before: DiskState) -> None:
        """The release is signed as it must be: it is made for another layout."""
        parts = tuple(
            part.model_copy(update={"bytes": HUGE}) if part.role == "root" else part
            for part in good.parts
        )
        with opened_test_keys() as keys:
            envelope = keys.sign(dump_manifest(good.model_copy(update={"parts": parts})))
        life.mirror.replaced["stable.json"] = dump_envelope(envelope)
        room = before.slots.root.size // MIB
        refusal = f"the slot (root) has room for {room} MiB, {HUGE // MIB} MiB are needed"
        assert life.apply()["error"] == refusal

    def test_a_clock_that_is_a_year_behind(self, life: Life, built: Built) -> None:
        """Nothing depends on it when the owner upgrades; by itself the machine waits."""
        release = datetime.datetime.fromisoformat(built.release.built)
        age = datetime.datetime.now(datetime.UTC) - release
        with upgrading_by_itself(life), clock_set(life, days=-365 - age.days):
            assert life.update("check")["version"] == GOOD
            decided = life.update("automatic")
            assert decided["installed"] is False
            assert "the clock is wrong" in decided["decision"]

    def test_a_clock_that_is_a_year_ahead(self, life: Life) -> None:
        """What was planned by it does not count once the clock is right."""
        with upgrading_by_itself(life):
            with clock_set(life, days=365):
                assert time_until_due(life, GOOD) > datetime.timedelta(days=364)
            assert time_until_due(life, GOOD) < datetime.timedelta(days=1)

    def test_no_room_on_the_efi_system_partition(self, life: Life) -> None:
        fill = "dd if=/dev/zero of=/efi/full bs=1M count=600 status=none; sync"
        life.machine.guest.run(["sh", "-c", f"{fill}; true"], timeout=120)
        try:
            assert "EFI" in life.apply()["error"]
        finally:
            life.machine.guest.run(["rm", "/efi/full"])

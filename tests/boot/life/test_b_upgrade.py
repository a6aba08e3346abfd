"""Upgrades: one that works, ones that do not, and going back."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.manifest import Manifest, parse_envelope, parse_manifest
from firstboot.base.paths import Paths
from firstboot.base.roundtrip import round_trip
from firstboot.base.run import run
from firstboot.base.waiting import wait_for
from tests.boot.life.clock import time_until_due, upgrading_by_itself
from tests.boot.life.conftest import (
    APPLY_SECONDS,
    COMMAND_SECONDS,
    DELIVERY_SECONDS,
    GOOD,
    Life,
    Publish,
)
from tests.boot.life.disk import DiskState, hash_spans, list_esp, read_encryption, read_slots
from tests.boot.life.phases import HEALTHY, PHASES
from tools.boot.appliance import BOOT_SECONDS, READY, READY_SECONDS, TROUBLE, read_status
from tools.build.appliance import Variant
from tools.build.image import Built
from tools.publish.bundle import write_bundle
from tools.publish.parts import fetched
from tools.vm.seedvolume import LABEL, SECTOR

UNBOOTABLE, BROKEN, LATE, HANGING, CUT, NIGHTLY = (f"0.1.{patch}" for patch in range(2, 8))
# Seconds under KVM; scaled for emulation.
SETTLED_SECONDS = 120.0
# Three tries of a version that does not work, then a start of the one before.
FALLBACK_SECONDS = 360.0
# The deadline of a version on trial is made this short for the one that hangs: it passes three
# times, and is not scaled.
HANG_SECONDS = 300.0
DEADLINE = "systemd-bless-boot.service.d/zz-short.conf"

LOADERS = ("/efi/EFI/systemd/systemd-bootx64.efi", "/efi/EFI/BOOT/BOOTX64.EFI")
SHIPPED_LOADER = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi.signed"


def make_stick(folder: Path, published: Path, manifest: Manifest) -> Path:
    """A USB stick with a release on it, as `tools/forge publish --bundle` makes one."""
    bundle = write_bundle(published, manifest, folder)
    stick = folder / "stick.img"
    sectors = (bundle.stat().st_size + (32 << 20)) // SECTOR
    run(["mformat", "-C", "-F", "-i", stick, "-v", LABEL, "-T", str(sectors), "::"])
    run(["mcopy", "-i", stick, bundle, "::"])
    bundle.unlink()
    return stick


def await_settled(life: Life) -> dict[str, Any]:
    """The last attempt, once it is known what became of it."""

    def settled() -> dict[str, Any] | None:
        attempt: dict[str, Any] = life.update("status")["last"]
        return attempt if attempt["outcome"] != "pending" else None

    seconds = life.machine.accelerator.scaled(SETTLED_SECONDS)
    return wait_for(settled, what="an outcome", timeout=seconds, interval=3.0)


def await_outcome(life: Life, version: str) -> dict[str, Any]:
    """The same of an attempt on `version`."""
    attempt = await_settled(life)
    assert attempt["version"] == version
    return attempt


def require_given_up(life: Life, version: str, *, seconds: float) -> dict[str, Any]:
    """Restart into an installed version that does not work; the attempt, which was given up.

    Mail may well go round meanwhile: what makes a version bad need not be in its way.
    """
    life.deliver(f"before {version}")
    life.restart(given_up(version), seconds=seconds, fail_on=())
    return require_gone_back(life, version)


def given_up(version: str) -> str:
    """What the console says then."""
    return rf"mailstead: the upgrade .* to {version} failed"


def require_gone_back(life: Life, version: str) -> dict[str, Any]:
    """The console says so, and the version before runs as it did; the attempt."""
    life.machine.guest.wait_ready(seconds=BOOT_SECONDS)
    assert read_status(life.machine)["version"] == GOOD
    attempt = await_outcome(life, version)
    assert attempt["outcome"] == "failed"
    life.require_mail()
    # It is remembered, and nothing has to be tried any more.
    status = life.update("status")
    assert version in status["failed"]
    assert status["waiting"] is None
    # Its owner is told where owners look.
    life.require(f"to {version} did not work")
    return attempt


@pytest.mark.usefixtures("before")
class TestUpgrade:
    def test_a_download_that_stops_midway_goes_on_later(
        self, life: Life, built: Built, good: Manifest
    ) -> None:
        wanted = [fetched(part, built.release.version) for part in good.parts]
        root = fetched(good.part("root"), built.release.version)
        # A delta: of a release that changed next to nothing, next to nothing is fetched.
        assert root.base == built.release.version
        assert sum(t.bytes for t in wanted) < 0.15 * sum(p.full.bytes for p in good.parts)
        half = root.bytes // 2
        life.mirror.stop_in = (root.path, half)
        assert "the server cannot be reached" in life.apply()["error"]
        assert life.update("status")["waiting"] is None
        assert life.mirror.served[root.path] == half
        life.mirror.away = False
        assert life.apply()["installed"] == GOOD
        assert life.mirror.ranges == [(root.path, half)]
        # Nothing was fetched twice, and nothing else.
        served = {path: n for path, n in life.mirror.served.items() if not path.endswith(".json")}
        assert served == {transfer.path: transfer.bytes for transfer in wanted}

    def test_the_new_version_runs_with_all_mail_and_is_found_good(
        self, life: Life, dice: random.Random
    ) -> None:
        """Its first start is behind a power cut, of which there is one for every owner."""
        life.lose_power(dice)
        assert read_status(life.machine)["version"] == GOOD
        attempt = await_outcome(life, GOOD)
        assert (attempt["outcome"], attempt["how"]) == ("good", "delta")
        assert life.update("status")["trial"] is None
        seconds = life.machine.accelerator.scaled(DELIVERY_SECONDS)
        assert round_trip(life.account, timeout=seconds).bytes > 1000

    @pytest.mark.campaign
    def test_what_it_did_not_write_is_as_it_was(
        self, life: Life, built: Built, before: DiskState
    ) -> None:
        """The partitions, every byte of the version before, and what opens the state."""
        machine, older = life.machine, built.release.version
        slots = read_slots(machine, older)
        assert slots.places == before.slots.places
        assert (slots.own, slots.rest) == (before.slots.own, before.slots.rest)
        assert read_encryption(machine) == before.encryption
        assert set(list_esp(machine)) > set(before.esp)
        # What is published of that version is what the image was made of.
        envelope = parse_envelope((life.mirror.folder / older / "release.json").read_bytes(), older)
        parts = parse_manifest(envelope.manifest, older).parts
        places = {part.uuid: part.path for part in slots.own}
        uki = f"/efi/EFI/Linux/mailstead_{older}.efi"
        spans = [(places[part.uuid] if part.uuid else uki, 0, part.bytes) for part in parts]
        assert hash_spans(machine, spans) == [part.sha256 for part in parts]

    def test_an_older_boot_loader_is_replaced(self, life: Life) -> None:
        """Its signature goes with the change, so the next restart shows that it was replaced."""
        script = f"""
            set -e
            for copy in {" ".join(LOADERS)}; do
                sed -i 's/LoaderInfo: systemd-boot [0-9]*/LoaderInfo: systemd-boot 100/' $copy
                ! cmp -s $copy {SHIPPED_LOADER}
            done
            systemctl restart mailstead-boot-loader.service
            for copy in {" ".join(LOADERS)}; do cmp $copy {SHIPPED_LOADER}; done
        """
        life.machine.guest.run(["sh", "-c", script], timeout=COMMAND_SECONDS)

    def test_an_older_version_is_refused(self, life: Life, built: Built) -> None:
        assert "older" in life.apply(built.release.version)["error"]

    @pytest.mark.campaign
    def test_a_kernel_that_does_not_start_is_given_up(
        self, life: Life, publish: Publish, tmp_path: Path
    ) -> None:
        """It comes on a USB stick, and so does not need the server."""
        options = ("--kernel-command-line", "rdinit=/no/such/init")
        manifest = publish(UNBOOTABLE, Variant(testing=True, options=options))
        stick = make_stick(tmp_path, life.mirror.folder, manifest)
        life.mirror.forget()
        volume = life.machine.hotplug_volume(stick, read_only=True)
        assert life.apply("--from", "usb")["installed"] == UNBOOTABLE
        life.machine.unplug_volume(volume)
        assert life.mirror.served == {}
        attempt = require_given_up(life, UNBOOTABLE, seconds=FALLBACK_SECONDS)
        assert attempt["how"] == "file"

    @pytest.mark.campaign
    def test_a_container_that_does_not_run_is_given_up(
        self, life: Life, publish: Publish, tmp_path: Path
    ) -> None:
        config = tmp_path / "usr/share/mailstead/compose/redis/redis.conf"
        config.parent.mkdir(parents=True)
        config.write_text("this-is no-directive\n")
        publish(BROKEN, Variant(testing=True, extra=(tmp_path,)))
        assert life.apply(BROKEN)["installed"] == BROKEN
        attempt = require_given_up(life, BROKEN, seconds=FALLBACK_SECONDS)
        assert "redis" in attempt["reason"]

    @pytest.mark.campaign
    def test_mail_that_is_accepted_in_a_failed_try_stays(
        self, life: Life, publish: Publish, tmp_path: Path
    ) -> None:
        """All is well but the end of the gate, which fails when the test has seen enough."""
        enough = Paths().state_partition / "enough"
        gate = tmp_path / "usr/lib/systemd/system/mailstead-gate.service.d/late.conf"
        gate.parent.mkdir(parents=True)
        refuse = f"until test -e {enough}; do sleep 1; done; exit 1"
        gate.write_text(f"[Service]\nExecStartPost=/bin/sh -c '{refuse}'\n")
        publish(LATE, Variant(testing=True, extra=(tmp_path,)))
        assert life.apply(LATE)["installed"] == LATE
        machine = life.machine
        life.restart(HEALTHY)
        machine.guest.wait_ready(seconds=BOOT_SECONDS)
        assert read_status(machine)["version"] == LATE
        life.deliver(f"in a try of {LATE}")
        mark = machine.console.mark()
        machine.guest.run(["touch", str(enough)])
        machine.wait_for_console(given_up(LATE), seconds=FALLBACK_SECONDS, after=mark)
        require_gone_back(life, LATE)
        machine.guest.run(["rm", str(enough)])

    @pytest.mark.campaign
    def test_a_system_that_hangs_is_given_up(
        self, life: Life, publish: Publish, tmp_path: Path
    ) -> None:
        units = tmp_path / "usr/lib/systemd/system"
        for drop_in, text in (
            ("mailstead-boot.service.d/hang.conf", "[Service]\nExecStartPre=sleep infinity\n"),
            (DEADLINE, f"[Unit]\nJobTimeoutSec={HANG_SECONDS:.0f}\n"),
        ):
            (units / drop_in).parent.mkdir(parents=True)
            (units / drop_in).write_text(text)
        publish(HANGING, Variant(testing=True, extra=(tmp_path,)))
        assert life.apply(HANGING)["installed"] == HANGING
        seconds = FALLBACK_SECONDS + 3 * HANG_SECONDS / life.machine.accelerator.factor
        require_given_up(life, HANGING, seconds=seconds)

    @pytest.mark.campaign
    def test_the_owner_goes_back_and_forth(self, life: Life, built: Built) -> None:
        older = built.release.version
        assert life.apply(older, "--allow-downgrade")["installed"] == older
        life.restart()
        assert read_status(life.machine)["version"] == older
        assert await_outcome(life, older)["outcome"] == "good"
        life.require_mail()
        life.deliver(f"in {older}")
        life.update("rollback", "--yes", "--no-reboot")
        life.restart()
        assert read_status(life.machine)["version"] == GOOD
        assert await_outcome(life, GOOD)["outcome"] == "good"
        life.require_mail()

    @pytest.mark.campaign
    def test_a_power_cut_leaves_either_the_old_version_or_the_new(
        self,
        life: Life,
        publish: Publish,
        request: pytest.FixtureRequest,
        dice: random.Random,
        record_property: Callable[[str, object], None],
    ) -> None:
        """Once for each of `--cuts`: while it fetches, writes, starts, or is found good.

        Four cuts are one in each phase; the report names them.
        """
        release = publish(CUT)
        machine = life.machine
        phases = dice.sample(PHASES, len(PHASES))
        for number in range(request.config.getoption("--cuts")):
            phase = phases[number % len(phases)]
            life.deliver(f"before-the-cut-{dice.getrandbits(64):x}")
            if life.update("status")["version"] == CUT:
                life.update("rollback", "--yes", "--no-reboot")
                life.restart()
                # It is on trial again, and nothing is installed before it is found good.
                assert await_outcome(life, GOOD)["outcome"] == "good"
            phase.begin(life, release)
            instant = dice.uniform(0, machine.accelerator.scaled(phase.seconds))
            record_property("cut", f"{phase.name}, {instant:.1f} s after its sign")
            assert not machine.ends_within(instant)
            machine.power_cut()
            machine.start()
            machine.wait_for_console(READY, seconds=READY_SECONDS, fail_on=TROUBLE)
            version = read_status(machine)["version"]
            assert version in ((GOOD, CUT) if phase.old else (CUT,))
            life.require_mail()
            attempt = await_settled(life)
            found = "good" if attempt["version"] == version else "interrupted"
            assert attempt["outcome"] == found
        if read_status(machine)["version"] == GOOD:
            assert life.apply(CUT)["installed"] == CUT
            life.restart()
        assert await_outcome(life, CUT)["outcome"] == "good"
        life.require_mail()

    @pytest.mark.campaign
    def test_the_machine_upgrades_itself_in_its_window(self, life: Life, publish: Publish) -> None:
        """With nobody at the keyboard: the test only makes the moment that was drawn come."""
        publish(NIGHTLY)
        machine = life.machine
        life.deliver("before the night")
        with upgrading_by_itself(life):
            time_until_due(life, NIGHTLY)
            come = 'now=$(date -u +%FT%T+00:00); sed -i "s/\\"at\\": \\"[^\\"]*/\\"at\\": \\"$now/"'
            machine.guest.run(["sh", "-c", f"{come} {Paths().update_schedule}"])
            mark = machine.console.mark()
            machine.guest.run(["systemctl", "--no-block", "start", "mailstead-update.service"])
            seconds = APPLY_SECONDS + READY_SECONDS
            machine.wait_for_console(READY, seconds=seconds, fail_on=TROUBLE, after=mark)
            assert read_status(machine)["version"] == NIGHTLY
            assert await_outcome(life, NIGHTLY)["outcome"] == "good"
        life.require_mail()

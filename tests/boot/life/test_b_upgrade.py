"""Upgrades: refused ones, one that works, ones that do not, and going back."""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.manifest import (
    Channel,
    Manifest,
    dump_envelope,
    dump_manifest,
    parse_envelope,
    parse_manifest,
)
from firstboot.base.roundtrip import round_trip
from firstboot.base.run import run
from firstboot.base.settings import Updates
from firstboot.base.state import STATE_FORMAT
from firstboot.base.waiting import wait_for
from tests.boot.life.conftest import COMMAND_SECONDS, DELIVERY_SECONDS, Life
from tests.boot.life.disk import (
    MIB,
    Encryption,
    Slots,
    hash_spans,
    list_esp,
    read_encryption,
    read_slots,
    sample,
)
from tests.boot.life.phases import PHASES
from tests.boot.mirror import Mirror
from tools.boot.appliance import BOOT_SECONDS, READY, READY_SECONDS, TROUBLE, read_status
from tools.build.appliance import Variant
from tools.build.image import TESTING, Built, build_image
from tools.build.slot import read_slot
from tools.host.report import say
from tools.keys.keyset import opened_test_keys
from tools.publish.bundle import write_bundle
from tools.publish.parts import fetched
from tools.publish.release import publish_slot
from tools.vm.seedvolume import LABEL, SECTOR

GOOD, UNBOOTABLE, BROKEN, HANGING, CUT = (f"0.1.{patch}" for patch in range(1, 6))
# Seconds under KVM; scaled for emulation.
APPLY_SECONDS = 120.0
SETTLED_SECONDS = 120.0
# Larger than the root of a slot, and smaller than what the state has room for.
HUGE = 2 << 30
# Three tries of a version that does not work, then a start of the one before.
FALLBACK_SECONDS = 360.0
# The deadline of a version on trial is made this short for the one that hangs: it passes three
# times, and is not scaled.
HANG_SECONDS = 300.0
DEADLINE = "systemd-bless-boot.service.d/zz-short.conf"

LOADERS = ("/efi/EFI/systemd/systemd-bootx64.efi", "/efi/EFI/BOOT/BOOTX64.EFI")
SHIPPED_LOADER = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi.signed"

Publish = Callable[..., Manifest]


@pytest.fixture(scope="package")
def publish(request: pytest.FixtureRequest, built: Built, mirror: Mirror) -> Publish:
    """Builds and publishes a version of this checkout; the one that runs is published already."""
    base = request.config.getoption("--base")

    def publish_built(release: Built, channel: Channel) -> Manifest:
        with opened_test_keys() as keys:
            return publish_slot(
                read_slot(release.folder),
                mirror.folder,
                keys=keys,
                base=release.release.base,
                built=release.release.built,
                channel=channel,
                notes="For tests.",
                not_before=release.release.built,
                minimum_version=None,
                state_format=STATE_FORMAT,
                report=say,
            )

    def publish(version: str, variant: Variant = TESTING) -> Manifest:
        release = build_image(base, report=say, variant=variant, version=version)
        return publish_built(release, "stable" if variant == TESTING else "candidate")

    publish_built(built, "stable")
    return publish


def make_stick(folder: Path, published: Path, manifest: Manifest) -> Path:
    """A USB stick with a release on it, as `tools/forge publish --bundle` makes one."""
    bundle = write_bundle(published, manifest, folder)
    stick = folder / "stick.img"
    sectors = (bundle.stat().st_size + (32 << 20)) // SECTOR
    run(["mformat", "-C", "-F", "-i", stick, "-v", LABEL, "-T", str(sectors), "::"])
    run(["mcopy", "-i", stick, bundle, "::"])
    bundle.unlink()
    return stick


@pytest.fixture(scope="package")
def good(publish: Publish) -> Manifest:
    return publish(GOOD)


def sizes(manifest: Manifest) -> dict[str, int]:
    """The bytes of every file of a release but its envelope, by its path."""
    return {
        transfer.path: transfer.bytes
        for part in manifest.parts
        for transfer in (part.full, *part.deltas)
    }


@contextmanager
def upgrading_by_itself(life: Life) -> Iterator[None]:
    """Automatic upgrades are on, and it is in their window; only the test asks for one.

    No timer runs meanwhile: a clock that is set goes past the times of all.
    """
    run, settings = life.machine.guest.run, ["mailstead", "settings", "set"]
    listed = run(["systemctl", "list-units", "--plain", "--no-legend", "mailstead-*.timer"])
    timers = [line.split()[0] for line in listed.stdout.splitlines()]
    assert "mailstead-update.timer" in timers
    now, hour = datetime.datetime.now(datetime.UTC), datetime.timedelta(hours=1)
    window = f"{now - hour:%H:%M}-{now + 12 * hour:%H:%M}"
    run(["systemctl", "stop", *timers])
    run([*settings, "updates.automatic", "true", "updates.window", window])
    try:
        yield
    finally:
        run([*settings, "updates.automatic", "false", "updates.window", Updates().window])
        run(["systemctl", "start", *timers])


@contextmanager
def clock_set(life: Life, *, days: int) -> Iterator[None]:
    """The clock is wrong by whole days, so that the time of day is right."""

    def move(days: int) -> None:
        script = f'date --set "@$(($(date +%s) + {days * 24 * 3600}))"'
        life.machine.guest.run(["sh", "-c", script])

    move(days)
    try:
        yield
    finally:
        move(-days)


def time_until_due(life: Life) -> datetime.timedelta:
    """From now, by a clock that is right, until the moment that the machine draws for GOOD."""
    found, due = f"{GOOD} found, due at ", "%Y-%m-%d %H:%M UTC"
    decision = life.update("automatic")["decision"]
    assert decision.startswith(found)
    moment = datetime.datetime.strptime(decision.removeprefix(found), due)
    return moment.replace(tzinfo=datetime.UTC) - datetime.datetime.now(datetime.UTC)


def apply(life: Life, *arguments: str) -> dict[str, Any]:
    return life.update("apply", "--yes", "--no-reboot", *arguments, seconds=APPLY_SECONDS)


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
    life.restart(rf"mailstead: the upgrade .* to {version} failed", seconds=seconds, fail_on=())
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


@dataclass(frozen=True)
class Before:
    """The disk before anything was upgraded: `samples` are of the slot that does not run."""

    slots: Slots
    samples: list[str]
    esp: list[str]
    encryption: Encryption


def look(life: Life, version: str) -> Before:
    machine = life.machine
    slots = read_slots(machine, version)
    samples = hash_spans(machine, sample(slots.other))
    return Before(slots, samples, list_esp(machine), read_encryption(machine))


@pytest.fixture(scope="package")
def before(life: Life, built: Built, good: Manifest) -> Before:
    assert good.version == GOOD
    return look(life, built.release.version)


class TestRefused:
    """What must not change a byte of the other slot, nor of the boot loader."""

    @pytest.fixture(autouse=True, scope="class")
    def _disk_untouched(self, life: Life, built: Built, before: Before) -> Iterator[None]:
        yield
        assert look(life, built.release.version) == before

    @pytest.fixture(autouse=True)
    def _well_behaved_afterwards(self, life: Life) -> Iterator[None]:
        yield
        life.mirror.forget()
        assert life.update("status")["waiting"] is None

    def test_a_changed_manifest(self, life: Life) -> None:
        envelope = (life.mirror.folder / "stable.json").read_bytes()
        assert b"For tests." in envelope
        life.mirror.replaced["stable.json"] = envelope.replace(b"For tests.", b"For pests.")
        assert "Ed25519" in apply(life)["error"]

    def test_one_wrong_signature_of_two(self, life: Life) -> None:
        envelope = json.loads((life.mirror.folder / "stable.json").read_bytes())
        signature = envelope["signatures"][0]["ml_dsa_65"]
        letter = "B" if signature[100] == "A" else "A"
        envelope["signatures"][0]["ml_dsa_65"] = signature[:100] + letter + signature[101:]
        life.mirror.replaced["stable.json"] = json.dumps(envelope).encode()
        assert "ML-DSA" in apply(life)["error"]

    def test_a_server_that_sends_more_than_it_should(
        self, life: Life, built: Built, good: Manifest
    ) -> None:
        first = fetched(good.parts[0], built.release.version).bytes
        life.mirror.longer = 1
        assert f"has {first + 1} bytes, announced are {first}" in apply(life)["error"]

    def test_a_file_that_is_cut_short(self, life: Life, built: Built, good: Manifest) -> None:
        first = fetched(good.parts[0], built.release.version).bytes
        for path in sizes(good):
            life.mirror.replaced[path] = (life.mirror.folder / path).read_bytes()[:-1]
        assert f"has {first - 1} bytes, announced are {first}" in apply(life)["error"]

    def test_a_file_that_is_not_what_was_signed(self, life: Life, good: Manifest) -> None:
        for path in sizes(good):
            content = bytearray((life.mirror.folder / path).read_bytes())
            content[len(content) // 2] ^= 1
            life.mirror.replaced[path] = bytes(content)
        assert "is not what was signed" in apply(life)["error"]

    def test_a_slot_that_is_too_small(self, life: Life, good: Manifest, before: Before) -> None:
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
        assert apply(life)["error"] == refusal

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
                assert time_until_due(life) > datetime.timedelta(days=364)
            assert time_until_due(life) < datetime.timedelta(days=1)

    def test_no_room_on_the_efi_system_partition(self, life: Life) -> None:
        fill = "dd if=/dev/zero of=/efi/full bs=1M count=600 status=none; sync"
        life.machine.guest.run(["sh", "-c", f"{fill}; true"], timeout=120)
        try:
            assert "EFI" in apply(life)["error"]
        finally:
            life.machine.guest.run(["rm", "/efi/full"])


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
        assert "the server cannot be reached" in apply(life)["error"]
        assert life.update("status")["waiting"] is None
        assert life.mirror.served[root.path] == half
        life.mirror.away = False
        assert apply(life)["installed"] == GOOD
        assert life.mirror.ranges == [(root.path, half)]
        # Nothing was fetched twice, and nothing else.
        served = {path: n for path, n in life.mirror.served.items() if path in sizes(good)}
        assert served == {transfer.path: transfer.bytes for transfer in wanted}

    def test_the_new_version_runs_with_all_mail_and_is_found_good(self, life: Life) -> None:
        life.deliver("before the restart")
        life.restart()
        life.require_mail()
        assert read_status(life.machine)["version"] == GOOD
        attempt = await_outcome(life, GOOD)
        assert (attempt["outcome"], attempt["how"]) == ("good", "delta")
        assert life.update("status")["trial"] is None
        seconds = life.machine.accelerator.scaled(DELIVERY_SECONDS)
        assert round_trip(life.account, timeout=seconds).bytes > 1000

    @pytest.mark.campaign
    def test_what_it_did_not_write_is_as_it_was(
        self, life: Life, built: Built, before: Before
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
        assert "older" in apply(life, built.release.version)["error"]

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
        assert apply(life, "--from", "usb")["installed"] == UNBOOTABLE
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
        assert apply(life, BROKEN)["installed"] == BROKEN
        attempt = require_given_up(life, BROKEN, seconds=FALLBACK_SECONDS)
        assert "redis" in attempt["reason"]

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
        assert apply(life, HANGING)["installed"] == HANGING
        seconds = FALLBACK_SECONDS + 3 * HANG_SECONDS / life.machine.accelerator.factor
        require_given_up(life, HANGING, seconds=seconds)

    @pytest.mark.campaign
    def test_the_owner_goes_back_and_forth(self, life: Life, built: Built) -> None:
        older = built.release.version
        assert apply(life, older, "--allow-downgrade")["installed"] == older
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
            assert apply(life, CUT)["installed"] == CUT
            life.restart()
        assert await_outcome(life, CUT)["outcome"] == "good"
        life.require_mail()

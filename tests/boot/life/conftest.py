"""The one machine whose life is told here, its owner, and the server that it gets releases from."""

from __future__ import annotations

import datetime
import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.manifest import Channel, Manifest
from firstboot.base.roundtrip import Account
from firstboot.base.state import STATE_FORMAT
from firstboot.base.waiting import wait_for
from tests.boot.conftest import running
from tests.boot.life.disk import DiskState, read_disk
from tests.boot.mail import deliver, has_message
from tests.boot.mirror import Mirror, serving
from tools.boot.appliance import (
    DEFAULT_DISK,
    READY,
    READY_SECONDS,
    TROUBLE,
    account,
    await_ready,
    disk_folder,
    forwarded,
    hardware,
)
from tools.boot.example import Example, make_example
from tools.build.appliance import Variant
from tools.build.image import TESTING, Built, build_image
from tools.build.slot import read_slot
from tools.build.source import rfc3339
from tools.host.report import say
from tools.keys.keyset import opened_test_keys
from tools.publish.release import publish_slot
from tools.vm import Disk, Machine

# Under KVM; scaled for emulation.
DELIVERY_SECONDS = 30.0
COMMAND_SECONDS = 60.0
APPLY_SECONDS = 120.0
# Where a program might leave something: none of it is below /state.
OUTSIDE_STATE = ("/etc/intruder", "/var/intruder", "/var/lib/intruder", "/run/intruder")
# The version that the image under test is upgraded to.
GOOD = "0.1.1"

Publish = Callable[..., Manifest]


@dataclass
class Life:
    """The machine as it is now, whose mail is on it, and what must never be lost.

    `folder` is for disks, `kept` are the subjects of all messages that were accepted,
    `recovery_key` is what the owner wrote down.
    """

    machine: Machine
    example: Example
    mirror: Mirror
    folder: Path
    powered: ExitStack
    kept: list[str] = field(default_factory=list)
    recovery_key: str = ""

    @property
    def account(self) -> Account:
        """Of the present boot, whose ports are its own."""
        return account(self.machine, self.example)

    def deliver(self, marker: str) -> None:
        """Hand in a message as another server would."""
        deliver(self.machine, self.example.address, marker)
        self.kept.append(marker)

    def require_mail(self) -> None:
        """All that was ever accepted is there."""
        for marker in self.kept:
            self.require(marker)

    def require(self, subject: str) -> None:
        """A message with these words in its subject is in the inbox, or comes soon."""
        wait_for(
            partial(has_message, self.account, subject),
            what=f"message {subject} in the inbox",
            timeout=self.machine.accelerator.scaled(DELIVERY_SECONDS),
            interval=1.0,
        )

    def update(self, *arguments: str, seconds: float = COMMAND_SECONDS) -> dict[str, Any]:
        """`mailstead update …` in the machine: what it says as JSON, refusals included."""
        argv = ["mailstead", "update", *arguments, "--json"]
        done = self.machine.guest.run(argv, check=False, timeout=seconds)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def apply(self, *arguments: str) -> dict[str, Any]:
        """Install an upgrade, to be tried at the next start."""
        words = ("apply", "--yes", "--no-reboot", *arguments)
        return self.update(*words, seconds=APPLY_SECONDS)

    def restart(
        self,
        until: str = READY,
        *,
        seconds: float = READY_SECONDS,
        fail_on: tuple[str, ...] = TROUBLE,
    ) -> None:
        """Let the system restart itself, and wait for a line on the console."""
        mark = self.machine.console.mark()
        # Not at once: the agent, which ends with the system, has to answer that it was done.
        later = ["systemd-run", "--on-active=2", "--timer-property=AccuracySec=10ms"]
        self.machine.guest.run([*later, "systemctl", "--no-block", "reboot"])
        self.machine.wait_for_console(until, seconds=seconds, fail_on=fail_on, after=mark)

    def lose_power(self, dice: random.Random) -> None:
        """Cut the power while mail comes in, and switch it on again.

        Whatever got its 250 is there, and nothing else is: what was written outside the state is
        gone, and Docker still has every container's image.
        """
        machine = self.machine
        for path in OUTSIDE_STATE:
            # Fails unless the file is there afterwards.
            machine.guest.run(["sh", "-c", f"touch {path} && test -e {path}"])
        identity = machine.guest.run(["cat", "/etc/machine-id"]).stdout
        for _ in range(dice.randint(1, 4)):
            self.deliver(f"before-the-cut-{dice.getrandbits(64):x}")
        machine.power_cut()
        machine.start()
        machine.wait_for_console(READY, seconds=READY_SECONDS, fail_on=TROUBLE)
        assert "mailstead: containers loaded (0," in machine.console_text
        self.require_mail()
        assert machine.guest.run(["cat", "/etc/machine-id"]).stdout == identity
        for path in OUTSIDE_STATE:
            assert machine.guest.run(["test", "-e", path], check=False).returncode == 1

    def move_to(self, machine: Machine) -> None:
        """Go on in another machine, which is powered on."""
        self.powered.close()
        self.machine = self.powered.enter_context(running(machine))


@pytest.fixture(scope="package")
def mirror() -> Iterator[Mirror]:
    """A server with nothing published yet."""
    # Large, and so not among pytest's temporary files, which may be in memory.
    with disk_folder() as folder, serving(folder) as found:
        yield found


@pytest.fixture(scope="package")
def life(built: Built, mirror: Mirror) -> Iterator[Life]:
    """A small VPS that can enforce Secure Boot, with its firmware in setup mode."""
    example = make_example(f"updates:\n  automatic: false\n  url: {mirror.url}\n")
    parts = replace(hardware(seed=example.seed), secure_boot=True)
    with disk_folder() as folder, ExitStack() as powered:
        disk = Disk.create(folder / "disk", built.image, size=DEFAULT_DISK)
        machine = powered.enter_context(running(Machine(disk, parts, forwarded())))
        await_ready(machine)
        yield Life(machine, example, mirror, folder, powered)


@pytest.fixture(scope="package")
def publish(request: pytest.FixtureRequest, built: Built, mirror: Mirror) -> Publish:
    """Builds and publishes a version of this checkout; the one that runs is published already."""
    base = request.config.getoption("--base")

    def publish_built(release: Built, channel: Channel) -> Manifest:
        # The commit may be younger than the clock of an emulated machine, which lags behind.
        day_before = datetime.datetime.fromisoformat(release.release.built).timestamp() - 86400
        with opened_test_keys() as keys:
            return publish_slot(
                read_slot(release.folder),
                mirror.folder,
                keys=keys,
                base=release.release.base,
                built=release.release.built,
                channel=channel,
                notes="For tests.",
                not_before=rfc3339(int(day_before)),
                minimum_version=None,
                state_format=STATE_FORMAT,
                report=say,
            )

    def publish(version: str, variant: Variant = TESTING) -> Manifest:
        release = build_image(base, report=say, variant=variant, version=version)
        return publish_built(release, "stable" if variant == TESTING else "candidate")

    publish_built(built, "stable")
    return publish


@pytest.fixture(scope="package")
def good(publish: Publish) -> Manifest:
    return publish(GOOD)


@pytest.fixture(scope="package")
def before(life: Life, built: Built, good: Manifest) -> DiskState:
    """The disk before anything was upgraded, when there is something to upgrade to."""
    assert good.version == GOOD
    return read_disk(life.machine, built.release.version)

"""For how long is there no mail while a machine upgrades itself, and what takes the time?

One machine is restarted as it is, and then upgraded to a version with changed code of ours, in one
run. The plain restart is what no upgrade can be shorter than, so their ratio says what A/B costs.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from firstboot.base.state import STATE_FORMAT
from firstboot.base.waiting import wait_for
from tests.bench.ending import run_bench
from tests.bench.transfer import two_versions
from tests.boot.mirror import Mirror, serving
from tools.boot.appliance import (
    BOOT_SECONDS,
    CONSOLE_READY,
    READY,
    READY_SECONDS,
    TROUBLE,
    await_ready,
    hardware,
    powered_on,
)
from tools.boot.example import make_example
from tools.build.base import AUTO
from tools.build.image import Built
from tools.build.slot import read_slot
from tools.build.source import rfc3339
from tools.host.cache import cache_folder, require_space
from tools.host.packages import ensure_for
from tools.keys.keyset import opened_test_keys
from tools.options import base_option, json_option, mirror_option
from tools.progress import progress
from tools.publish.release import publish_slot
from tools.vm import Machine, keep_evidence, reap_leftovers

# Under KVM; scaled for emulation.
APPLY_SECONDS = 120.0
SETTLED_SECONDS = 120.0
# How long a server has for its greeting, and how often it is asked for one, in seconds.
GREETING_SECONDS = 30.0
INTERVAL = 0.2
# Published are two versions and the deltas between them.
_SPACE_NEEDED = 3 << 30

Report = Callable[[str], None]


def greets(port: int, *, tls: bool) -> bool:
    """Whether a server says something by itself, as SMTP and IMAP servers do, at a port here."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=GREETING_SECONDS) as plain:
            if not tls:
                return bool(plain.recv(1))
            with context.wrap_socket(plain) as channel:
                return bool(channel.recv(1))
    except OSError:
        return False


@dataclass
class Watch:
    """Asks a service for its greeting again and again; when it did, and when it did not.

    `gaps` are in seconds: each from the last greeting that came before it to the first after it.
    """

    port: int
    tls: bool
    gaps: list[float] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until `end`. A greeting counts from when it was asked for."""
        last, missed = time.monotonic(), False
        while not self._ended.is_set():
            asked = time.monotonic()
            if greets(self.port, tls=self.tls):
                if missed:
                    self.gaps.append(time.monotonic() - last)
                last, missed = asked, False
            else:
                missed = True
            self._ended.wait(INTERVAL)

    def wait_for_gap(self, seconds: float) -> None:
        """Wait for a greeting after some time without one; raises DeadlineError."""
        what = f"a greeting at port {self.port}"
        wait_for(lambda: bool(self.gaps), what=what, timeout=seconds)

    def end(self) -> None:
        """Stop asking."""
        self._ended.set()


@contextmanager
def watching(machine: Machine) -> Iterator[dict[str, Watch]]:
    """Port 25, where others hand in mail, and 993, where people read it, while the block runs."""
    watches = {
        "smtp": Watch(machine.ports["smtp"], tls=False),
        "imaps": Watch(machine.ports["imaps"], tls=True),
    }
    threads = [threading.Thread(target=watch.run) for watch in watches.values()]
    for thread in threads:
        thread.start()
    try:
        yield watches
    finally:
        for watch in watches.values():
            watch.end()
        for thread in threads:
            thread.join()


@dataclass(frozen=True)
class Restart:
    """One restart, in seconds since it was asked for, and the longest time without a service."""

    console_ready: float
    ready: float
    outage: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Times in seconds."""
        return {
            "console_ready": round(self.console_ready, 1),
            "ready": round(self.ready, 1),
            "outage": {name: round(seconds, 1) for name, seconds in self.outage.items()},
        }


def restart(machine: Machine) -> Restart:
    """Let the machine restart itself; raises when it does not get ready."""
    with watching(machine) as watches:
        mark, asked = machine.console.mark(), time.monotonic()
        machine.guest.run(["systemctl", "--no-block", "reboot"])
        machine.wait_for_console(CONSOLE_READY, seconds=2 * BOOT_SECONDS, after=mark)
        console_ready = time.monotonic() - asked
        machine.wait_for_console(READY, seconds=READY_SECONDS, fail_on=TROUBLE, after=mark)
        ready = time.monotonic() - asked
        for watch in watches.values():
            watch.wait_for_gap(machine.accelerator.scaled(READY_SECONDS))
    return Restart(console_ready, ready, {name: max(w.gaps) for name, w in watches.items()})


@dataclass(frozen=True)
class Outcome:
    """What one machine has shown; seconds.

    `apply` is fetching, checking and writing, beside which mail goes on: `missed` is the longest
    time without a greeting meanwhile. `found_good` is from the start of the new version on.
    """

    accelerator: str
    fetched_bytes: int
    apply: float
    missed: dict[str, float]
    plain: Restart
    upgrade: Restart
    found_good: float

    @property
    def ratio(self) -> float:
        """How many times as long as at a plain restart nobody can hand in mail."""
        return self.upgrade.outage["smtp"] / self.plain.outage["smtp"]

    def as_json(self) -> dict[str, Any]:
        """The one object of `--json`: sizes in bytes, times in seconds."""
        return {
            "accelerator": self.accelerator,
            "fetched_bytes": self.fetched_bytes,
            "apply_seconds": round(self.apply, 1),
            "outage_while_applying": {name: round(gap, 1) for name, gap in self.missed.items()},
            "plain_restart": self.plain.as_json(),
            "upgrade_restart": self.upgrade.as_json(),
            "found_good_seconds": round(self.found_good, 1),
            "outage_ratio": round(self.ratio, 2),
        }


def publish(built: Built, folder: Path, report: Report) -> None:
    """Put a build where machines get releases from; raises what publishing raises."""
    with opened_test_keys() as keys:
        publish_slot(
            read_slot(built.folder),
            folder,
            keys=keys,
            base=built.release.base,
            built=rfc3339(0),
            channel="stable",
            notes="",
            not_before=None,
            minimum_version=None,
            state_format=STATE_FORMAT,
            report=report,
        )


def measure(old: Built, new: Built, report: Report) -> Outcome:
    """Restart and then upgrade one machine; raises what a boot or an upgrade raises."""
    cache = cache_folder("bench")
    require_space(cache, _SPACE_NEEDED, "publishing two versions")
    with TemporaryDirectory(dir=cache) as folder, serving(Path(folder)) as mirror:
        for built in (old, new):
            publish(built, mirror.folder, report)
        example = make_example(f"updates:\n  automatic: false\n  url: {mirror.url}\n")
        with powered_on(old.image, hardware(seed=example.seed)) as machine:
            try:
                await_ready(machine, report)
                return _upgrade(machine, mirror, new.release.version, report)
            except Exception:
                kept = cache_folder("evidence", "bench", "upgrade")
                keep_evidence(machine, kept)
                report(f"What is known of the failure is in {kept}.")
                raise


def _upgrade(machine: Machine, mirror: Mirror, version: str, report: Report) -> Outcome:
    # The first start loads the containers, which no later one does.
    report("Restarting as it is …")
    plain = restart(machine)
    report(f"Upgrading to {version} …")
    with watching(machine) as watches:
        started = time.monotonic()
        argv = ["mailstead", "update", "apply", version, "--yes", "--no-reboot"]
        machine.guest.run(argv, timeout=APPLY_SECONDS)
        apply = time.monotonic() - started
    missed = {name: max(watch.gaps, default=0.0) for name, watch in watches.items()}
    report("Restarting into it …")
    upgrade = restart(machine)
    started = time.monotonic()
    report("Waiting until it is found good …")
    wait_for(
        partial(_is_good, machine, version),
        what=f"{version} to be found good",
        timeout=machine.accelerator.scaled(SETTLED_SECONDS),
        interval=1.0,
    )
    found_good = upgrade.ready + time.monotonic() - started
    fetched = sum(mirror.served.values())
    return Outcome(machine.accelerator.name, fetched, apply, missed, plain, upgrade, found_good)


def _is_good(machine: Machine, version: str) -> bool:
    status = json.loads(machine.guest.run(["mailstead", "update", "status", "--json"]).stdout)
    last = status["last"]
    return bool(last["version"] == version and last["outcome"] == "good")


def format_outcome(outcome: Outcome) -> str:
    """The report for people."""
    plain, upgrade = outcome.plain, outcome.upgrade
    rows = [
        ("console speaks", plain.console_ready, upgrade.console_ready),
        ("services answer", plain.ready, upgrade.ready),
        ("no mail comes in for", plain.outage["smtp"], upgrade.outage["smtp"]),
        ("nobody reads mail for", plain.outage["imaps"], upgrade.outage["imaps"]),
    ]
    lines = [f"{name:<24}{left:>12.1f} s{right:>12.1f} s" for name, left, right in rows]
    return "\n".join(
        [
            f"{outcome.accelerator}; seconds since the restart was asked for",
            "",
            f"{'':<24}{'restart':>14}{'upgrade':>14}",
            *lines,
            "",
            f"Fetching and writing took {outcome.apply:.1f} s, beside the mail"
            f" (longest time without a greeting: {max(outcome.missed.values()):.1f} s).",
            f"Found good {outcome.found_good:.1f} s after the restart was asked for.",
            f"Ratio, no mail coming in at an upgrade to a plain restart: {outcome.ratio:.2f}",
        ]
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@base_option(AUTO)
@mirror_option
@json_option
def bench(*, base: str, mirror: str | None, as_json: bool) -> None:
    """Time how long mail is away at an upgrade, and at a plain restart of the same machine."""
    with progress() as report:
        ensure_for("try", report)
        ensure_for("publish", report)
        reap_leftovers()
        with two_versions(base, mirror, report, testing=True) as (old, new):
            outcome = measure(old, new, report)
    click.echo(json.dumps(outcome.as_json(), indent=2) if as_json else format_outcome(outcome))


if __name__ == "__main__":
    run_bench(bench)

"""How much longer than a bare Ubuntu does Mailstead take from power-on to the first mail?

Both are built from the same packages, with the same kernel, modules and command line, and booted in
the same machine in one run, so that their ratio says something on any host.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import click

from firstboot.base.errors import MailsteadError
from tests.bench.ending import run_bench
from tools.boot.appliance import BOOT_SECONDS, hardware, powered_on
from tools.boot.example import Example, make_example
from tools.build.base import AUTO
from tools.build.commands import sizes
from tools.build.image import TESTING, Built, build_image, build_other, compressed
from tools.host.cache import cache_folder, readable
from tools.host.packages import ensure_for
from tools.inspect.uki import read_uki
from tools.options import base_option, json_option, mirror_option
from tools.progress import progress
from tools.trial.trial import Trial, run_trial
from tools.vm import Hardware, Machine, keep_evidence, reap_leftovers

BARE = Path(__file__).with_name("bare")
# What agetty(8) says once somebody could log in; the name is the one in bare/mkosi.conf.
LOGIN = r"^bare login: "

Report = Callable[[str], None]


@dataclass(frozen=True)
class Peer:
    """The bare image; sizes are in bytes."""

    image: Path
    uki: Path
    zstd_bytes: int

    @classmethod
    def build(cls, base: str, *, report: Report, mirror: str | None) -> Peer:
        """Build it on `base`; raises as `build_image` does."""
        folder = build_other(BARE, base, report=report, mirror=mirror)
        image = folder / "bare.raw"
        report("Compressing the bare image …")
        return cls(image, folder / "bare.efi", compressed(image).stat().st_size)


@dataclass(frozen=True)
class Outcome:
    """What all runs have found; `logins` are the peer's, in seconds since power-on."""

    peer: Peer
    built: Built
    kernel: str
    logins: Sequence[float]
    trials: Sequence[Trial]

    @property
    def first_mails(self) -> list[float]:
        """Seconds from power-on to the end of the first round trip, a run each."""
        return [trial.first_mail for trial in self.trials]

    @property
    def ratio(self) -> float:
        """How many times as long as a bare login the first mail takes, by the medians."""
        return median(self.first_mails) / median(self.logins)

    def as_json(self) -> dict[str, Any]:
        """The one object of `--json`: sizes in bytes, times in seconds, memory in MiB."""
        image = sizes(self.built)
        return {
            "version": self.built.release.version,
            "base": self.built.release.base,
            "kernel": self.kernel,
            "accelerator": self.trials[-1].accelerator,
            "runs": len(self.trials),
            "bare": {
                "login_seconds": _rounded(self.logins),
                "image_bytes": self.peer.image.stat().st_size,
                "zstd_bytes": self.peer.zstd_bytes,
                "uki_bytes": self.peer.uki.stat().st_size,
            },
            "mailstead": {
                "login_seconds": _rounded([trial.moments.console_ready for trial in self.trials]),
                "first_mail_seconds": _rounded(self.first_mails),
                "image_bytes": image["bytes"],
                "zstd_bytes": image["zstd_bytes"],
                "uki_bytes": image["uki_bytes"],
            },
            "ratio": round(self.ratio, 2),
            "memory_mib": self.trials[-1].memory,
        }


def measure(peer: Peer, built: Built, runs: int, report: Report) -> Outcome:
    """Boot both images `runs` times each, by turns; raises what a boot or a round trip raises."""
    kernel = same_kernel(peer.uki, built.uki)
    example = make_example()
    # The seed goes to both, or they would not be the same machine; the peer does not look at it.
    parts = hardware(seed=example.seed)
    for image in (peer.image, built.image):
        read_through(image)
    logins: list[float] = []
    trials: list[Trial] = []

    def boot_bare() -> None:
        logins.append(time_login(peer.image, parts, report))

    def boot_ours() -> None:
        trials.append(time_first_mail(built, example, parts, report))

    for number in range(runs):
        report(f"Run {number + 1} of {runs}.")
        # Whoever comes second finds a warmer host, so they change places.
        for boot in (boot_bare, boot_ours) if number % 2 == 0 else (boot_ours, boot_bare):
            boot()
    return Outcome(peer, built, kernel, logins, trials)


def time_login(image: Path, parts: Hardware, report: Report) -> float:
    """Seconds from power-on to the login prompt of the bare image."""
    report("Bare: waiting for the login prompt …")
    with powered_on(image, parts) as machine, evidence("bare", machine, report):
        machine.wait_for_console(LOGIN, seconds=BOOT_SECONDS)
        seconds = machine.uptime
    report(f"Bare: login prompt after {seconds:.1f} s.")
    return seconds


def time_first_mail(built: Built, example: Example, parts: Hardware, report: Report) -> Trial:
    """One first boot of ours, set up by its seed, up to the first mail and what it says then."""
    with powered_on(built.image, parts) as machine, evidence("mailstead", machine, report):
        trial = run_trial(machine, built, example, lambda line: report(f"Mailstead: {line}"))
    report(f"Mailstead: first mail after {trial.first_mail:.1f} s.")
    return trial


@contextmanager
def evidence(name: str, machine: Machine, report: Report) -> Iterator[None]:
    """Keep what is known of a machine when the block fails, before the machine is gone."""
    try:
        yield
    except Exception:
        folder = cache_folder("evidence", "bench", name)
        keep_evidence(machine, folder)
        report(f"What is known of the failure is in {folder}.")
        raise


def same_kernel(one: Path, other: Path) -> str:
    """The version of the kernel that two UKIs start; MailsteadError when it is not the same."""
    versions = [read_uki(path).kernel for path in (one, other)]
    if versions[0] != versions[1]:
        raise MailsteadError(
            f"the images have different kernels ({versions[0]} and {versions[1]}), so their times "
            "say nothing about each other",
            "The archive has moved on between two builds: delete the build cache and try again.",
        )
    return versions[0]


def read_through(path: Path) -> None:
    """Read a file once, so that no boot pays for a host that has not got it in memory yet."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


def _rounded(seconds: Sequence[float]) -> list[float]:
    return [round(value, 1) for value in seconds]


def format_outcome(outcome: Outcome) -> str:
    """The report for people."""
    found = outcome.as_json()
    bare, ours, memory = found["bare"], found["mailstead"], found["memory_mib"]
    rows = [
        ("", "bare", "Mailstead"),
        ("console speaks", _seconds(bare["login_seconds"]), _seconds(ours["login_seconds"])),
        ("first mail", "", _seconds(ours["first_mail_seconds"])),
        ("image", readable(bare["image_bytes"]), readable(ours["image_bytes"])),
        ("image, zstd", readable(bare["zstd_bytes"]), readable(ours["zstd_bytes"])),
        ("UKI", readable(bare["uki_bytes"]), readable(ours["uki_bytes"])),
        ("memory in use", "", f"{memory['used']} MiB"),
        *((f"  {name}", "", _mebibytes(used)) for name, used in memory["containers"].items()),
    ]
    lines = [f"{name:<24}{left:>14}{right:>14}".rstrip() for name, left, right in rows]
    runs = f"{found['runs']} run{'s' if found['runs'] > 1 else ''}"
    return "\n".join(
        [
            f"Mailstead {found['version']} on {found['base']}, kernel {found['kernel']}, "
            f"{found['accelerator']}, {runs}; seconds since power-on (medians)",
            "",
            *lines,
            "",
            f"Ratio, first mail to bare login: {found['ratio']:.2f}",
        ]
    )


def _mebibytes(used: float | None) -> str:
    return "not running" if used is None else f"{used} MiB"


def _seconds(values: Sequence[float]) -> str:
    return f"{median(values):.1f} s"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@base_option(AUTO)
@mirror_option
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How often both are booted; figures are medians.",
)
@json_option
def bench(*, base: str, mirror: str | None, runs: int, as_json: bool) -> None:
    """Time a bare image to its login prompt and ours to its first mail, and compare them."""
    with progress() as report:
        ensure_for("try", report)
        reap_leftovers()
        built = build_image(base, report=report, variant=TESTING, mirror=mirror)
        # Not `base` again: what "auto" means could change in between.
        peer = Peer.build(built.release.base, report=report, mirror=mirror)
        outcome = measure(peer, built, runs, report)
    click.echo(json.dumps(outcome.as_json(), indent=2) if as_json else format_outcome(outcome))


if __name__ == "__main__":
    run_bench(bench)

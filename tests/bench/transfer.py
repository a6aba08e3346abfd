"""How much does a machine fetch when a release has changed nothing but our own code?

Two versions are published with the code that publishes releases. What the deltas between them take
is compared with `zstd --patch-from` on the same parts in the same run, so that the figure says
something about the deltas, and not only about how much was changed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from firstboot.base.manifest import ROLES, Manifest, Role
from firstboot.base.run import run
from firstboot.base.state import STATE_FORMAT
from tests.bench.ending import run_bench
from tools.build.appliance import Variant
from tools.build.base import AUTO
from tools.build.containers import copy_python
from tools.build.image import Built, build_image
from tools.build.slot import Slot, read_slot
from tools.build.source import CHECKOUT, rfc3339
from tools.host.cache import cache_folder, readable, require_space
from tools.host.packages import ensure_for
from tools.keys.keyset import opened_test_keys
from tools.options import base_option, json_option, mirror_option
from tools.progress import progress
from tools.publish.parts import fetched
from tools.publish.release import publish_slot

OLD, NEW = "0.0.1", "0.0.2"
# Where Python looks for it in the slot (see tools/build/appliance.py).
_OURS = "usr/lib/python3/dist-packages/firstboot"
# Modules that get a few lines more: about as many as a release of one fix and one feature touches.
_CHANGED = (
    "cli/reporting.py",
    "base/engine.py",
    "base/run.py",
    "checks/status.py",
    "setup/start.py",
)
_LINES = '\n\ndef _new() -> str:\n    """Something new."""\n    return "of release two"\n'
# Published are two versions and the deltas between them; the peer's delta comes after that.
_SPACE_NEEDED = 4 << 30

Report = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """What is to be fetched of one part, in bytes: the whole, our delta (or whole), the peer's."""

    full: int
    delta: int
    peer: int


@dataclass(frozen=True)
class Outcome:
    """What both transfers of each part take; seconds are those that publishing took."""

    parts: dict[Role, Sizes]
    seconds: float

    @property
    def total(self) -> Sizes:
        """All parts together."""
        sizes = self.parts.values()
        return Sizes(
            sum(size.full for size in sizes),
            sum(size.delta for size in sizes),
            sum(size.peer for size in sizes),
        )

    def as_json(self) -> dict[str, Any]:
        """The one object of `--json`: sizes in bytes, ratios to the whole."""
        rows = [*self.parts.items(), ("total", self.total)]
        return {
            "publish_seconds": round(self.seconds, 1),
            **{
                name: {
                    "full_bytes": size.full,
                    "delta_bytes": size.delta,
                    "delta_ratio": round(size.delta / size.full, 4),
                    "patch_from_bytes": size.peer,
                    "patch_from_ratio": round(size.peer / size.full, 4),
                }
                for name, size in rows
            },
        }


@contextmanager
def two_versions(
    base: str, mirror: str | None, report: Report, *, testing: bool = False
) -> Iterator[tuple[Built, Built]]:
    """The checkout as one version, and with changed code of ours as the next.

    With `testing` they have the way in that tests use.
    """
    with TemporaryDirectory(prefix="mailstead-bench-") as folder:
        code = Path(folder) / _OURS
        copy_python(CHECKOUT / "firstboot", code)
        for name in _CHANGED:
            with (code / name).open("a", encoding="utf-8") as file:
                file.write(_LINES)
        variant = Variant(testing=testing)
        old = build_image(base, report=report, version=OLD, variant=variant, mirror=mirror)
        # Not `base` again: what "auto" means could change in between.
        new = build_image(
            old.release.base,
            report=report,
            version=NEW,
            variant=Variant(testing=testing, extra=(Path(folder),)),
            mirror=mirror,
        )
        yield old, new


def measure(old: Slot, new: Slot, report: Report) -> Outcome:
    """Publish both and compare; raises what publishing raises."""
    cache = cache_folder("bench")
    require_space(cache, _SPACE_NEEDED, "publishing two versions")
    with TemporaryDirectory(dir=cache) as folder, opened_test_keys() as keys:
        started = time.monotonic()
        for slot in (old, new):
            manifest = publish_slot(
                slot,
                Path(folder),
                keys=keys,
                base="bench",
                built=rfc3339(0),
                channel="candidate",
                notes="",
                not_before=None,
                minimum_version=None,
                state_format=STATE_FORMAT,
                report=report,
            )
        seconds = time.monotonic() - started
        return Outcome(_compare(manifest, old, new, Path(folder), report), seconds)


def _compare(
    manifest: Manifest, old: Slot, new: Slot, folder: Path, report: Report
) -> dict[Role, Sizes]:
    found: dict[Role, Sizes] = {}
    for role in ROLES:
        report(f"zstd --patch-from: {role} …")
        part = manifest.part(role)
        peer = patch_from(old.parts[role].path, new.parts[role].path, folder / "peer")
        # Whoever has no use for a delta fetches the whole, so the peer may do that, too.
        whole = part.full.bytes
        found[role] = Sizes(whole, fetched(part, old.version).bytes, min(peer, whole))
    return found


def patch_from(old: Path, new: Path, target: Path) -> int:
    """The size of the peer's delta: zstd with the whole old part as its dictionary."""
    run(
        ["zstd", "--quiet", "--force", "-10", "--long=31", f"--patch-from={old}", new, "-o", target]
    )
    return target.stat().st_size


def format_outcome(outcome: Outcome) -> str:
    """The report for people."""
    found = outcome.as_json()
    lines = [f"{'':<12}{'whole':>10}{'delta':>18}{'zstd --patch-from':>22}"]
    for name in (*ROLES, "total"):
        row = found[name]
        delta = f"{readable(row['delta_bytes'])} ({row['delta_ratio']:.1%})"
        peer = f"{readable(row['patch_from_bytes'])} ({row['patch_from_ratio']:.1%})"
        lines.append(f"{name:<12}{readable(row['full_bytes']):>10}{delta:>18}{peer:>22}")
    return "\n".join([*lines, "", f"Publishing took {found['publish_seconds']} s."])


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@base_option(AUTO)
@mirror_option
@click.option(
    "--builds",
    metavar="OLD NEW",
    nargs=2,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Compare these two folders, results of builds of different versions, and build nothing.",
)
@json_option
def bench(
    *, base: str, mirror: str | None, builds: tuple[Path, Path] | None, as_json: bool
) -> None:
    """Publish two versions and tell what a machine fetches to get from one to the other."""
    with progress() as report:
        ensure_for("publish", report)
        if builds:
            outcome = measure(read_slot(builds[0]), read_slot(builds[1]), report)
        else:
            with two_versions(base, mirror, report) as (old, new):
                outcome = measure(read_slot(old.folder), read_slot(new.folder), report)
    click.echo(json.dumps(outcome.as_json(), indent=2) if as_json else format_outcome(outcome))


if __name__ == "__main__":
    run_bench(bench)

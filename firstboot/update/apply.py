"""`mailstead update apply`: choose a release, see whether it may be installed, do it.

Nothing is written outside of `/state/updates` before every part of the release is there and has
been verified; see `fetch` and `install` for the order of what is written then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.errors import UpdateRefusedError
from firstboot.base.manifest import Manifest
from firstboot.base.progress import Report, megabytes
from firstboot.system.secureboot import carries, read_secure_boot, trusted_certificates
from firstboot.update.decide import (
    Facts,
    Request,
    is_older,
    refuse_candidate,
    refuse_metered,
    refuse_no_room,
    refuse_unblessed,
    refuse_unsuitable,
)
from firstboot.update.fetch import (
    Step,
    assemble,
    disk_errors,
    needed_bytes,
    plan,
    ready_name,
    transfer_bytes,
)
from firstboot.update.history import How
from firstboot.update.install import install
from firstboot.update.machine import Machine, Slots, read_room, read_slots
from firstboot.update.source import Source

# Steps on the way to one release; more would be a circle.
MOST_STEPS = 20


@dataclass(frozen=True)
class Choice:
    """The release to install now: `goal` is the version that it is a step towards, or its own."""

    manifest: Manifest
    goal: str


@dataclass(frozen=True)
class Prepared:
    """A release that may be installed, and how its parts are obtained."""

    choice: Choice
    slots: Slots
    steps: tuple[Step, ...]

    @property
    def manifest(self) -> Manifest:
        return self.choice.manifest

    @property
    def bytes(self) -> int:
        """How much is fetched if nothing is there yet."""
        return transfer_bytes(self.steps)


def choose(machine: Machine, source: Source, request: Request) -> Choice:
    """The wanted release, or the one that this machine has to go by on its way there.

    Raises UpdateRefusedError when a manifest is not what was asked for or not to be trusted.
    """
    manifest = _release(machine, source, request.version)
    if source.network and request.version is None:
        refuse_candidate(manifest, machine.updates)
    goal, running = manifest.version, machine.release.version
    for _ in range(MOST_STEPS):
        minimum = manifest.minimum_version
        # A machine that goes back does not have to be new enough for what it goes back to.
        if is_older(manifest.version, running) or not is_older(running, minimum):
            return Choice(manifest, goal)
        if not is_older(minimum, manifest.version):
            break
        manifest = _release(machine, source, minimum)
    raise UpdateRefusedError(
        f"there is no way from {running} to {goal} in {source.name}",
        "The releases there contradict each other: tell whoever publishes them.",
    )


def prepare(machine: Machine, source: Source, request: Request, choice: Choice) -> Prepared:
    """Everything that can be refused before a byte is fetched is refused here."""
    facts, manifest = machine.facts(), choice.manifest
    if source.network:
        refuse_metered(facts, request)
    refuse_unsuitable(manifest, facts, request)
    slots = read_slots(facts.version)
    bases = {**slots.running, "uki": _running_uki(facts)}
    steps = plan(manifest, facts.version, bases, deltas=source.deltas)
    refuse_no_room(manifest, needed_bytes(steps, machine.paths), read_room(machine, slots))
    return Prepared(choice, slots, steps)


def apply(
    machine: Machine,
    source: Source,
    prepared: Prepared,
    report: Report,
    may_write: Callable[[], None] = lambda: None,
) -> None:
    """Fetch, verify and install; the machine then has to be restarted.

    `may_write` can still refuse, by raising, when all is there but nothing is written yet.
    """
    report(f"{prepared.manifest.version} from {source.name}: {megabytes(prepared.bytes)} to fetch")
    used_delta = assemble(prepared.steps, source, machine.paths, report)
    _refuse_unbootable(machine, prepared.manifest)
    may_write()
    # Fetching takes its time: somebody may have rolled back, or restarted, in between.
    refuse_unblessed(machine.facts())
    how: How = ("delta" if used_delta else "network") if source.network else "file"
    with disk_errors(machine.paths.updates):
        install(machine, prepared.manifest, prepared.slots, how, report)


def _release(machine: Machine, source: Source, version: str | None) -> Manifest:
    envelope = source.envelope(version)
    manifest = machine.trusted(envelope, source.name)
    if version not in {None, manifest.version}:
        raise UpdateRefusedError(
            f"{source.name} has {manifest.version} in the place of {version}",
            "It was put there by mistake, or by somebody who means harm. Nothing was installed.",
        )
    return manifest


def _refuse_unbootable(machine: Machine, manifest: Manifest) -> None:
    """A UKI of another Secure Boot key would stop at the firmware's screen, tries or not."""
    efivars = machine.paths.efivars
    if read_secure_boot(efivars) != "enforced":
        return
    uki = machine.paths.ready / ready_name(manifest, manifest.part("uki"))
    with disk_errors(machine.paths.updates):
        bootable = carries(uki, trusted_certificates(efivars))
    if not bootable:
        raise UpdateRefusedError(
            f"version {manifest.version} is not signed by a Secure Boot key that this machine's "
            "firmware trusts: it would not start",
            "Ask whoever publishes it which key it is signed by. Before a version of another key "
            "can be installed, its certificate must be in the firmware's db.",
        )


def _running_uki(facts: Facts) -> Path:
    assert facts.started is not None, "refuse_unsuitable refuses it"
    return facts.started.path

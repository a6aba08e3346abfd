"""`mailstead update check`: what a source has to offer, and whether it could be installed now."""

from __future__ import annotations

from dataclasses import dataclass

from firstboot.base.errors import UpdateRefusedError
from firstboot.base.progress import megabytes
from firstboot.update.apply import choose, prepare
from firstboot.update.decide import Request
from firstboot.update.machine import Machine
from firstboot.update.source import Source


@dataclass(frozen=True)
class Offer:
    """A release on offer. `goal` is the version that it is a step towards, or its own.

    `bytes` is what would be fetched, None where `refused` says why it would not be installed now
    or where it runs already.
    """

    running: str
    version: str
    available: bool
    goal: str
    channel: str
    notes: str
    bytes: int | None
    refused: str | None


def read_offer(machine: Machine, source: Source) -> Offer:
    """The newest release there, or the step to it; raises when it cannot be had or trusted."""
    # Whether the network is metered is a question for the big files.
    request = Request(allow_metered=True)
    choice = choose(machine, source, request)
    manifest, running = choice.manifest, machine.release.version
    needed, refused = None, None
    if manifest.version != running:
        try:
            needed = prepare(machine, source, request, choice).bytes
        except UpdateRefusedError as error:
            refused = error.message
    return Offer(
        running=running,
        version=manifest.version,
        available=manifest.version != running,
        goal=choice.goal,
        channel=manifest.channel,
        notes=manifest.notes,
        bytes=needed,
        refused=refused,
    )


def format_offer(offer: Offer) -> str:
    """The offer for people."""
    if not offer.available:
        return f"{offer.running} is the newest version"
    lines = [f"{offer.version} is there ({offer.running} runs)"]
    if offer.goal != offer.version:
        lines.append(f"it is a step on the way to {offer.goal}")
    if offer.bytes is not None:
        lines.append(f"{megabytes(offer.bytes)} to fetch")
    if offer.refused:
        lines.append(f"not now: {offer.refused}")
    return "\n".join([*lines, "", offer.notes.strip()]).strip()

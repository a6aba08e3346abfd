"""Whether a release may be installed here: pure functions, each a reason to refuse.

Each one returns or raises UpdateRefusedError, which says why and what to do. None of them touches
the machine; what they go by is in `Facts` and `Room`.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firstboot.base.errors import UpdateRefusedError
from firstboot.base.manifest import Manifest, Role, version_key
from firstboot.base.sections import Updates
from firstboot.base.window import this_or_next
from firstboot.system.bootloader import Entry
from firstboot.update.history import Attempt, failures

MIB = 1 << 20
# Mail goes on arriving while an upgrade fills the state partition.
RESERVE = 128 * MIB
# A file system needs some of its own, and rounds every file up.
ESP_RESERVE = 2 * MIB


@dataclass(frozen=True)
class Request:
    """What is wanted: a certain `version`, or None for the newest; and what is put up with."""

    version: str | None = None
    allow_downgrade: bool = False
    allow_metered: bool = False


@dataclass(frozen=True)
class Facts:
    """The machine: what runs, how it was started, what was tried before, and the time.

    `waiting` is a version that is installed and will be tried at the next start. `attended` means
    that a start waits for somebody to type.
    """

    version: str
    base: str
    built: datetime.datetime
    state_format: int
    started: Entry | None
    waiting: str | None
    attended: bool
    attempts: Sequence[Attempt]
    updates: Updates
    now: datetime.datetime


@dataclass(frozen=True)
class Room:
    """Bytes: free in the state and on the ESP (with what will be replaced there), and the slot."""

    state: int
    esp: int
    slot: Mapping[Role, int]


def refuse_unsuitable(manifest: Manifest, facts: Facts, request: Request) -> None:
    """All that speaks against a release whatever way it comes."""
    for refuse in (
        _refuse_same,
        _refuse_waiting,
        _refuse_other_base,
        _refuse_downgrade,
        _refuse_state_format,
        _refuse_failed,
    ):
        refuse(manifest, facts, request)
    refuse_unblessed(facts)


def refuse_unblessed(facts: Facts) -> None:
    """The other slot is what a version on trial falls back to: it must not be overwritten."""
    started = facts.started
    if started is None:
        raise UpdateRefusedError(
            "the boot loader does not tell which version it started",
            "Upgrades need UEFI with systemd-boot, which counts the tries of a new version.",
        )
    if started.version != facts.version:
        raise UpdateRefusedError(
            f"version {facts.version} runs, but the boot loader says that it started "
            f"{started.version}",
            "Restart the machine.",
        )
    if not started.good:
        raise UpdateRefusedError(
            f"version {facts.version} is still on trial",
            "Wait until it has shown that it works; `mailstead update status` tells.",
        )


def refuse_metered(facts: Facts, request: Request) -> None:
    """Only for what comes over the network."""
    if facts.updates.metered and not request.allow_metered:
        raise UpdateRefusedError(
            "the network is metered, says updates.metered in the settings",
            "To fetch the upgrade all the same: mailstead update apply --allow-metered",
        )


def refuse_no_room(manifest: Manifest, needed: int, room: Room) -> None:
    """`needed` bytes on the state partition, and what each part needs where it goes."""
    _refuse_small("the state partition", needed + RESERVE, room.state, "Free some room there.")
    uki = manifest.part("uki").bytes + ESP_RESERVE
    _refuse_small("the EFI system partition", uki, room.esp, "Remove files that others put there.")
    for role, size in room.slot.items():
        hint = "Set the machine up anew on a disk with a larger layout, and restore its backup."
        _refuse_small(f"the slot ({role})", manifest.part(role).bytes, size, hint)


def refuse_by_itself(manifest: Manifest, facts: Facts) -> None:
    """What nobody asked for is installed only if it is meant for everybody now."""
    refuse_candidate(manifest, facts.updates)
    not_before = datetime.datetime.fromisoformat(manifest.not_before)
    if facts.now < not_before:
        raise UpdateRefusedError(
            f"{manifest.version} is not for automatic upgrades before {show_time(not_before)}"
        )


def refuse_candidate(manifest: Manifest, updates: Updates) -> None:
    """A mirror can show another channel's file in the place of the one that was asked for."""
    if updates.channel == "stable" and manifest.channel != "stable":
        raise UpdateRefusedError(
            f"{manifest.version} is a candidate, and the channel is stable",
            "To install it all the same, name it: mailstead update apply " + manifest.version,
        )


def refuse_wrong_clock(facts: Facts) -> None:
    """Windows and dates mean nothing to a machine whose clock is wrong."""
    if facts.now < facts.built:
        raise UpdateRefusedError(
            f"the clock is wrong: it says {show_time(facts.now)}, and this version was built "
            f"{show_time(facts.built)}",
            "Let the machine reach a time server (UDP port 123).",
        )


def refuse_outside_window(facts: Facts) -> None:
    """For what happens without anybody at the keyboard."""
    if facts.now not in this_or_next(facts.updates.window, facts.now):
        raise UpdateRefusedError(
            f"it is {show_time(facts.now)}, outside of the window {facts.updates.window}"
        )


def show_time(moment: datetime.datetime) -> str:
    """A time for people, in UTC."""
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def is_older(version: str, than: str) -> bool:
    return version_key(version) < version_key(than)


def _refuse_same(manifest: Manifest, facts: Facts, _request: Request) -> None:
    if manifest.version == facts.version:
        raise UpdateRefusedError(f"version {facts.version} runs already")


def _refuse_waiting(manifest: Manifest, facts: Facts, _request: Request) -> None:
    if manifest.version == facts.waiting:
        raise UpdateRefusedError(
            f"version {manifest.version} is installed and waits for a restart",
            "Restart the machine: it tries the new version then.",
        )


def _refuse_other_base(manifest: Manifest, facts: Facts, _request: Request) -> None:
    if manifest.base != facts.base:
        raise UpdateRefusedError(
            f"version {manifest.version} is made of {manifest.base}, this machine runs "
            f"{facts.base}",
            "Upgrades stay with one base: take the release that is made of it.",
        )


def _refuse_downgrade(manifest: Manifest, facts: Facts, request: Request) -> None:
    if is_older(manifest.version, facts.version) and not request.allow_downgrade:
        raise UpdateRefusedError(
            f"version {manifest.version} is older than {facts.version}, which runs",
            f"To go back: mailstead update apply {manifest.version} --allow-downgrade",
        )


def _refuse_state_format(manifest: Manifest, facts: Facts, _request: Request) -> None:
    """Each version reads the format before and the format after its own, and no other."""
    if abs(manifest.state_format - facts.state_format) > 1:
        raise UpdateRefusedError(
            f"version {manifest.version} has state format {manifest.state_format}, this machine's "
            f"state has {facts.state_format}: it could not read the mail",
            "Go by way of a version with the format in between.",
        )


def _refuse_failed(manifest: Manifest, facts: Facts, request: Request) -> None:
    reason = failures(facts.attempts).get(manifest.version)
    if reason is not None and request.version != manifest.version:
        raise UpdateRefusedError(
            f"version {manifest.version} did not work on this machine before"
            + (f": {reason}" if reason else ""),
            f"To try it again all the same: mailstead update apply {manifest.version}",
        )


def _refuse_small(where: str, needed: int, there: int, hint: str) -> None:
    if there < needed:
        raise UpdateRefusedError(
            f"{where} has room for {there // MIB} MiB, {-(-needed // MIB)} MiB are needed", hint
        )

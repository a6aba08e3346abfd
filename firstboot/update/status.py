"""`mailstead update status`: what runs, what it could go back to, and what is planned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from typing_extensions import TypedDict

from firstboot.base.sections import Updates
from firstboot.update.automatic import read_schedule
from firstboot.update.decide import show_time
from firstboot.update.history import Attempt, AttemptJson, failures
from firstboot.update.machine import Machine


class UpdateJson(TypedDict):
    """As of `UpdateStatus`; `updates` is that part of the settings."""

    version: str
    known: bool
    trial: int | None
    waiting: str | None
    others: list[str]
    failed: dict[str, str]
    last: AttemptJson | None
    scheduled: str | None
    updates: dict[str, Any]


@dataclass(frozen=True)
class UpdateStatus:
    """Everything that the command shows.

    `trial` is the number of tries left if the running version is on trial, None if it is good;
    `known` is False where the boot loader does not tell. `others` are versions that the machine
    could start instead, `failed` those that did not work, with the reason.
    """

    version: str
    known: bool
    trial: int | None
    waiting: str | None
    others: tuple[str, ...]
    failed: dict[str, str]
    last: Attempt | None
    scheduled: str | None
    updates: Updates

    def as_json(self) -> UpdateJson:
        return {
            "version": self.version,
            "known": self.known,
            "trial": self.trial,
            "waiting": self.waiting,
            "others": list(self.others),
            "failed": self.failed,
            "last": self.last.as_json() if self.last else None,
            "scheduled": self.scheduled,
            "updates": self.updates.model_dump(mode="json"),
        }


def read_status(machine: Machine) -> UpdateStatus:
    """Look at history, boot loader and settings."""
    facts = machine.facts()
    entries = machine.loader.entries()
    schedule = read_schedule(machine.paths.update_schedule)
    planned = schedule is not None and schedule.version != facts.version
    return UpdateStatus(
        version=facts.version,
        known=facts.started is not None,
        trial=facts.started.tries_left if facts.started else None,
        waiting=facts.waiting,
        others=tuple(e.version for e in entries if e.good and e.version != facts.version),
        failed=dict(failures(facts.attempts)),
        last=facts.attempts[-1] if facts.attempts else None,
        scheduled=f"{schedule.version} at {show_time(schedule.at)}"
        if schedule and planned
        else None,
        updates=facts.updates,
    )


def format_status(status: UpdateStatus) -> str:
    """The status as lines for people."""
    rows = [("running", f"{status.version} ({_standing(status)})")]
    if status.waiting:
        rows.append(("waiting", f"{status.waiting} is tried at the next start"))
    rows.append(("rollback", ", ".join(status.others) or "not possible, there is no other version"))
    if status.last:
        rows.append(("last", format_attempt(status.last)))
    rows += [("failed", f"{version}: {why}") for version, why in status.failed.items()]
    rows.append(("automatic", _automatic(status.updates)))
    if status.scheduled:
        rows.append(("planned", status.scheduled))
    return "\n".join(f"{name:<9}  {text}" for name, text in rows)


def format_attempt(attempt: Attempt) -> str:
    """An attempt on one line."""
    line = f"{attempt.when}  {attempt.origin} to {attempt.version} ({attempt.how}): "
    return line + attempt.outcome + (f", {attempt.reason}" if attempt.reason else "")


def _standing(status: UpdateStatus) -> str:
    if not status.known:
        return "the boot loader does not tell whether it is good"
    return "good" if status.trial is None else f"on trial, {status.trial} tries left"


def _automatic(updates: Updates) -> str:
    if not updates.automatic:
        return "off"
    if updates.url is None:
        return "off, there is no updates.url in the settings"
    metered = ", but not over a metered network" if updates.metered else ""
    return f"{updates.channel} from {updates.url}, {updates.window} UTC{metered}"

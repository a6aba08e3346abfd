"""`mailstead update settle`: at each boot, what became of an upgrade that was under way.

A version on trial that fails leaves its reason in `last-failure` if it still can; the version
before it, back in its place, notes it in the history, from where it is never tried again by itself.
The mail to the owner is written down before the history is, which ends the matter: what power
interrupts before is done again, and after it is only the tidying up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from firstboot.base.errors import SettingsError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.notices import leave_notice
from firstboot.base.paths import Paths
from firstboot.base.release import read_release
from firstboot.system.bootloader import Entry
from firstboot.system.console import Console
from firstboot.update.decide import is_older
from firstboot.update.fetch import clear
from firstboot.update.history import (
    Attempt,
    Outcome,
    conclude,
    pending,
    read_history,
    write_history,
)
from firstboot.update.machine import Machine

LONGEST_REASON = 1000
_UNKNOWN = "it did not start, or did not show that it works, in any of its tries"


@dataclass(frozen=True)
class Verdict:
    """What became of an attempt, and why; `reason` is empty for a good one."""

    outcome: Outcome
    reason: str = ""


def note_failure(paths: Paths, reason: str) -> None:
    """Leave word why the version that runs does not work, for the one that will follow it."""
    version = read_release(paths.release).version
    make_directory(paths.updates, mode=0o700)
    write_atomic(paths.last_failure, f"{version}\n{reason[:LONGEST_REASON]}\n")


def read_failure(paths: Paths, version: str) -> str:
    """What `version` left word of, "" when it did not."""
    try:
        first, _, reason = paths.last_failure.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return ""
    return " ".join(reason.split())[:LONGEST_REASON] if first.strip() == version else ""


def judge(attempt: Attempt, running: str, entries: Sequence[Entry], failure: str) -> Verdict | None:
    """What became of a pending attempt, None when that is not known yet. Pure.

    `entries` are those of the boot loader, `failure` what the version left word of.
    """
    if not any(entry.version == running for entry in entries):
        # The EFI system partition is not mounted, or cannot be read: nothing follows from that.
        return None
    own = [entry for entry in entries if entry.version == attempt.version]
    if attempt.version == running:
        return Verdict("good") if own and all(entry.good for entry in own) else None
    if not own:
        return Verdict("interrupted", "it was not complete when the machine was cut off")
    if all(entry.given_up for entry in own):
        return Verdict("failed", failure or _UNKNOWN)
    # It has tries left, so the next start is another try.
    return None


def settle(machine: Machine, console: Console) -> Attempt | None:
    """Note what became of the pending attempt and tell the owner; None when there is no news.

    The attempt that is returned has its outcome: `good`, `failed` or `interrupted`.
    """
    paths, running = machine.paths, machine.release.version
    attempts = read_history(paths.update_history)
    attempt = pending(attempts)
    if attempt is None:
        return None
    failure = read_failure(paths, attempt.version)
    verdict = judge(attempt, running, machine.loader.entries(), failure)
    if verdict is None:
        return None
    settled = conclude(attempts, verdict.outcome, verdict.reason)
    _write_to_owner(settled[-1], running, paths)
    write_history(paths.update_history, settled)
    if verdict.outcome != "interrupted":
        # An interrupted attempt is repeated, and then needs what is there.
        clear(paths)
    paths.last_failure.unlink(missing_ok=True)
    _tell(settled[-1], running, console)
    return settled[-1]


def _write_to_owner(attempt: Attempt, running: str, paths: Paths) -> None:
    """Leave a mail about what needs a person: that a version works is no news."""
    if attempt.outcome != "failed":
        return
    what = _what(attempt)
    with contextlib.suppress(SettingsError):
        leave_notice(
            paths,
            f"upgrade-{attempt.version}",
            f"The {what} to {attempt.version} did not work",
            f"This machine tried to go from version {attempt.origin} to {attempt.version}. That "
            f"did not work, and it went back to {running} by itself. No mail was lost.\n\n"
            f"Reason: {attempt.reason}\n\n"
            f"{attempt.version} will not be tried again by itself. The next release will.\n"
            "`mailstead update history` tells more.\n",
        )


def _what(attempt: Attempt) -> str:
    return "rollback" if attempt.how == "rollback" else "upgrade"


def _tell(attempt: Attempt, running: str, console: Console) -> None:
    what = _what(attempt)
    way = f"from {attempt.origin} to {attempt.version}"
    match attempt.outcome:
        case "good":
            back = is_older(attempt.version, attempt.origin)
            console.say(f"went back {way}" if back else f"upgraded {way}")
        case "interrupted":
            console.say(f"the {what} {way} was interrupted; it can be repeated")
        case _:
            console.say(f"the {what} {way} failed: {attempt.reason}")
            console.show(
                f"The {what} to {attempt.version} did not work",
                (
                    f"This machine went back to {running} by itself.",
                    f"Reason: {attempt.reason}",
                    f"{attempt.version} will not be tried again by itself. The next release will.",
                ),
            )

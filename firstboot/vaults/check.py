"""Have a mail store look at all of a person's vault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from firstboot.vaults.mailbox import Progress, RemoteMailbox

MIB = 1 << 20
REPORT_EACH = 256 * MIB

Report = Callable[[str], None]


def check_vault(box: RemoteMailbox, report: Report) -> Progress:
    """Look at everything, step by step; returns what was looked at and all problems found."""
    progress = box.check("")
    problems = list(progress.problems)
    shown = 0
    while progress.following:
        progress = box.check(progress.following)
        problems += progress.problems
        if progress.done - shown >= REPORT_EACH:
            shown = progress.done
            report(f"{progress.done // MIB} of about {progress.total // MIB} MiB")
    return replace(progress, problems=problems)

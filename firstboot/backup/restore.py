"""From a repository to a restore that the next start puts in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from firstboot.backup.keys import keep_recovery, known_recovery, new_kit_name
from firstboot.backup.plan import Plan, write_plan
from firstboot.backup.repository import kit_of
from firstboot.backup.staging import stage_all, stage_part, stage_person
from firstboot.base.codes import read_recovery_code
from firstboot.base.paths import Paths
from firstboot.base.progress import Report
from firstboot.system.restic import Restic, Snapshot
from firstboot.system.resticerrors import BackupError

LATEST = "latest"


def choose_snapshot(snapshots: Sequence[Snapshot], wanted: str) -> Snapshot:
    """A snapshot by `latest`, by the beginning of its id, or by a time: the last one before it.

    A time is as restic gives it, or the beginning of that: 2026-11-24, 2026-11-24T10:00.
    """
    if not snapshots:
        raise BackupError("there is no backup in this repository", "Look at its address.")
    if wanted == LATEST:
        return snapshots[-1]
    named = [found for found in snapshots if len(wanted) >= 4 and found.id.startswith(wanted)]
    if len(named) == 1:
        return named[0]
    # Up to the end of the day, hour or minute that was given.
    earlier = [found for found in snapshots if found.time[: len(wanted)] <= wanted]
    if len(wanted) >= 10 and wanted[4:5] == "-" and earlier:
        return earlier[-1]
    raise BackupError(
        f"no backup is called {wanted!r}, or is as old as that",
        "Give the beginning of its id, or a time such as 2026-11-24T10:00; --list shows all.",
    )


def prepare_restore(
    restic: Restic,
    snapshot: Snapshot,
    paths: Paths,
    *,
    only: str = "",
    before: Callable[[Plan], None] = lambda _plan: None,
    report: Report = lambda _: None,
) -> Plan:
    """Stage a snapshot, and have the next start put it in place.

    `only` is a person's address or the name of a part (`staging.PARTS`); "" for all of it.
    `before` is called when all is staged; an error of it leaves everything as it was. Interrupted
    anywhere, nothing has changed, and the same call goes on with what was fetched.
    """
    if "@" in only:
        plan = stage_person(restic, snapshot, paths, only, report)
    elif only:
        plan = stage_part(restic, snapshot, paths, only, report)
    else:
        plan = _with_code(restic, stage_all(restic, snapshot, paths, report), paths)
    before(plan)
    write_plan(paths, plan)
    return plan


def _with_code(restic: Restic, plan: Plan, paths: Paths) -> Plan:
    """Keep the code that was typed as the present one: the one in the backup may be older."""
    code = read_recovery_code(restic.password.decode(errors="replace"))
    if code is None:
        return plan
    staged = replace(paths, state_partition=paths.staging)
    keep_recovery(staged, known_recovery(kit_of(restic) or new_kit_name(), code))
    name = paths.recovery_code.relative_to(paths.state_partition).as_posix()
    return replace(plan, put=tuple(sorted({*plan.put, name})))

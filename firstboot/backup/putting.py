"""Puts a staged restore in place, before anything of the stack runs: renames, each of them whole.

The settings leave first and come last. A machine without them counts as not set up, so that no
release, not even one that knows nothing of restores, runs on a state that is half old and half new.
Every step sees by itself whether it is done: whatever cut the power, the next start goes on.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from firstboot.backup.plan import Plan, drop_plan, read_plan
from firstboot.base.files import make_directory, sync_directory
from firstboot.base.paths import Paths
from firstboot.base.state import adopt_format

SETTINGS = "settings.yaml"


def put_in_place(paths: Paths) -> Plan | None:
    """Do what a plan says, if there is one, to its end; return it.

    Only files within the state partition are renamed. What was there before is removed when all
    is in place. Raises ReleaseError, and changes nothing, when this release cannot read the state
    that was backed up: another one may run than the one that staged it.
    """
    plan = read_plan(paths)
    if plan is None:
        _clear(paths)
        return None
    adopt_format(paths.state_format, plan.state_format)
    _hold_settings(paths)
    for name in plan.remove:
        _move_away(paths, name)
    for name in plan.put:
        if name != SETTINGS:
            _put(paths, name)
    _release_settings(paths, restored=SETTINGS in plan.put)
    drop_plan(paths)
    _clear(paths)
    shutil.rmtree(paths.restore, ignore_errors=True)
    return plan


def restore_waiting(paths: Paths) -> str:
    """Put in place what waits for that, and say in words what it was; "" when nothing waits."""
    plan = put_in_place(paths)
    return f"{plan.what}, from the backup of {plan.time[:19]}" if plan else ""


def _put(paths: Paths, name: str) -> None:
    staged, live = paths.staging / name, paths.state_partition / name
    if not os.path.lexists(staged):
        # Done before the power went.
        return
    _move_away(paths, name)
    _make_parents(paths, name)
    _rename(staged, live)


def _move_away(paths: Paths, name: str) -> None:
    live, away = paths.state_partition / name, paths.restored_over / name
    if not os.path.lexists(live):
        return
    number = 0
    while os.path.lexists(away):
        # A release that knew of no restore has made it anew in between.
        number += 1
        away = paths.restored_over / f"{name}.{number}"
    away.parent.mkdir(parents=True, exist_ok=True)
    _rename(live, away)


def _make_parents(paths: Paths, name: str) -> None:
    """Make the folders above a path as they are in the staging area: owner and mode."""
    for parent in reversed(Path(name).parents[:-1]):
        live = paths.state_partition / parent
        if not live.exists():
            status = (paths.staging / parent).stat()
            make_directory(live, mode=status.st_mode & 0o7777)
            os.chown(live, status.st_uid, status.st_gid)
            sync_directory(live.parent)


def _hold_settings(paths: Paths) -> None:
    if paths.settings.exists() and not paths.held_settings.exists():
        _rename(paths.settings, paths.held_settings)


def _release_settings(paths: Paths, *, restored: bool) -> None:
    """The restored settings, or where none were restored the machine's own."""
    staged = paths.staging / SETTINGS
    if restored and staged.exists():
        _rename(staged, paths.settings)
    elif paths.held_settings.exists() and not paths.settings.exists():
        _rename(paths.held_settings, paths.settings)


def _clear(paths: Paths) -> None:
    """Take away what was replaced; what is staged may be the beginning of a restore."""
    shutil.rmtree(paths.restored_over, ignore_errors=True)
    paths.held_settings.unlink(missing_ok=True)


def _rename(source: Path, target: Path) -> None:
    """Rename, and have both folders on disk before the next step."""
    source.rename(target)
    sync_directory(target.parent)
    if source.parent != target.parent:
        sync_directory(source.parent)

"""One backup or restore by our code, in a process of its own, as `mailstead backup` is one.

`python -m tests.bench.backing back-up|restore ROOT REPOSITORY`: ROOT is what an appliance has at
`/`, REPOSITORY a folder. A restore reads the recovery code from standard input.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from firstboot.backup.engine import Machine, back_up
from firstboot.backup.opening import Repository, open_repository
from firstboot.backup.putting import put_in_place
from firstboot.backup.restore import prepare_restore
from firstboot.base.paths import Paths
from firstboot.base.release import read_release
from firstboot.base.sections import BackupTarget
from firstboot.base.settings import require_settings
from firstboot.system.resticerrors import BackupError
from tests.bench.ending import run_bench

_FOLDER = click.argument("root", type=click.Path(path_type=Path))
_REPOSITORY = click.argument("repository", type=click.Path(path_type=Path))


@click.group()
def backing() -> None:
    """Do what is measured."""


@backing.command("back-up")
@_FOLDER
@_REPOSITORY
def back_up_once(root: Path, repository: Path) -> None:
    """Back up the state below ROOT."""
    paths = Paths.below(root)
    settings = require_settings(paths.settings)
    # Unchecked: a machine's settings name no folder of its own disk.
    target = BackupTarget.model_construct(name="bench", repository=str(repository))
    backup = settings.backup.model_copy(update={"targets": (target,)})
    chosen = settings.model_copy(update={"backup": backup})
    machine = Machine(paths, chosen, read_release(paths.release))
    (entry,) = back_up(machine, machine.targets, _say)
    if not entry.good:
        raise BackupError(entry.reason)


@backing.command("restore")
@_FOLDER
@_REPOSITORY
def restore_once(root: Path, repository: Path) -> None:
    """Restore everything to a machine below ROOT that has nothing yet."""
    paths = Paths.below(root)
    paths.state_partition.mkdir(parents=True)
    there = Repository(str(repository), sys.stdin.read().strip().encode())
    with open_repository(paths, there) as found:
        restic = found.entered()
        prepare_restore(restic, restic.snapshots()[-1], paths, report=_say)
    put_in_place(paths)


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    run_bench(backing)

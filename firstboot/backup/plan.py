"""What a restore puts in place at the next start: written when all of it is staged and verified.

Its presence is the one thing that tells a restore that will happen from one that is being prepared.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from firstboot.base.errors import MachineError
from firstboot.base.files import make_directory, sync_directory, write_atomic
from firstboot.base.paths import Paths

FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """Which paths below the state are taken from the staging area (`put`) or away (`remove`).

    `snapshot` and `time` (RFC 3339) say where it comes from, `what` what it is, for people.
    `state_format` is the number of the state that was backed up.
    """

    snapshot: str
    time: str
    what: str
    state_format: int
    put: tuple[str, ...]
    remove: tuple[str, ...] = ()


def write_plan(paths: Paths, plan: Plan) -> None:
    """From now on the next start puts in place what is staged, which must be on disk already."""
    make_directory(paths.restore, mode=0o700)
    content = {"format": FORMAT, "plan": asdict(plan)}
    write_atomic(paths.restore_plan, json.dumps(content, indent=2) + "\n", mode=0o600)


def read_plan(paths: Paths) -> Plan | None:
    """None when nothing waits to be put in place; MachineError for what is no plan of ours."""
    try:
        content = json.loads(paths.restore_plan.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError
        found = content["plan"]
        return Plan(
            snapshot=str(found["snapshot"]),
            time=str(found["time"]),
            what=str(found["what"]),
            state_format=int(found["state_format"]),
            put=_below(found["put"]),
            remove=_below(found["remove"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError):
        raise MachineError(
            f"{paths.restore_plan} is not a plan of a restore (format {FORMAT})",
            "Start the release that wrote it, or remove the file to leave things as they are.",
        ) from None


def drop_plan(paths: Paths) -> None:
    """Nothing is put in place any more; for one that is done, or was thought better of."""
    paths.restore_plan.unlink(missing_ok=True)
    sync_directory(paths.restore)


def _below(found: list[object]) -> tuple[str, ...]:
    """Paths that lead nowhere else; ValueError for others."""
    names = tuple(str(name) for name in found)
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(name)
    return names

"""What was tried before: history.json in the state, read by the version after and the one before.

An attempt is noted as pending before the first byte goes to a slot, and gets its outcome at a
later boot. So whatever power cuts do, a version that could start has an attempt that names it, and
one that failed is remembered by the version that follows.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from typing_extensions import TypedDict

from firstboot.base.errors import ReleaseError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.manifest import version_key

FORMAT = 1
MOST_ATTEMPTS = 100

How: TypeAlias = Literal["network", "delta", "file", "rollback"]
# interrupted: it did not come so far that the version could have been tried, so it may be repeated.
Outcome: TypeAlias = Literal["pending", "good", "failed", "interrupted"]


# `from` is no name in Python.
_Origin = TypedDict("_Origin", {"from": str})


class AttemptJson(_Origin):
    """An attempt to go from one version to another; `when` is RFC 3339, UTC."""

    version: str
    when: str
    how: How
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Attempt:
    """One attempt to go from version `origin` to `version`; `when` is RFC 3339, UTC.

    A rollback goes from the version that is not wanted to the one before it.
    """

    version: str
    origin: str
    when: str
    how: How
    outcome: Outcome
    reason: str = ""

    def as_json(self) -> AttemptJson:
        """Its form in history.json and for --json."""
        return {
            "version": self.version,
            "from": self.origin,
            "when": self.when,
            "how": self.how,
            "outcome": self.outcome,
            "reason": self.reason,
        }


def read_history(path: Path) -> tuple[Attempt, ...]:
    """All attempts, oldest first; none when there is no history or it cannot be read.

    An upgrade must not depend on it: the worst that comes of a lost history is that a version that
    failed is tried, and given up, once more. Attempts of a kind that a later version has brought
    are left out.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        entries = data["attempts"] if data["format"] == FORMAT else []
        found = [_attempt(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(attempt for attempt in found if attempt is not None)


def write_history(path: Path, attempts: Sequence[Attempt]) -> None:
    """Keep the newest attempts, on disk when this returns."""
    make_directory(path.parent, mode=0o700)
    kept = [attempt.as_json() for attempt in attempts[-MOST_ATTEMPTS:]]
    write_atomic(path, json.dumps({"format": FORMAT, "attempts": kept}, indent=2) + "\n")


def begin(attempts: Sequence[Attempt], attempt: Attempt) -> tuple[Attempt, ...]:
    """The history with a new attempt; one that was still pending has been overtaken by it."""
    closed = conclude(attempts, "interrupted", f"followed by an attempt at {attempt.version}")
    return (*closed, attempt)


def conclude(attempts: Sequence[Attempt], outcome: Outcome, reason: str) -> tuple[Attempt, ...]:
    """The history with an outcome for the attempt that is pending, if one is.

    Without a new reason it keeps the one that it began with.
    """
    last = pending(attempts)
    if last is None:
        return tuple(attempts)
    ended = dataclasses.replace(last, outcome=outcome, reason=reason or last.reason)
    return (*attempts[:-1], ended)


def pending(attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt whose outcome is not known yet: only the newest can be one."""
    return attempts[-1] if attempts and attempts[-1].outcome == "pending" else None


def failures(attempts: Sequence[Attempt]) -> Mapping[str, str]:
    """The versions that do not work on this machine, as far as is known, each with the reason."""
    found: dict[str, str] = {}
    for attempt in attempts:
        if attempt.outcome == "failed":
            found[attempt.version] = attempt.reason
        elif attempt.outcome == "good":
            found.pop(attempt.version, None)
        if attempt.how == "rollback" and attempt.outcome in {"pending", "good"}:
            found[attempt.origin] = attempt.reason
    return found


def _attempt(entry: Any) -> Attempt | None:
    try:
        texts = {key: str(entry[key]) for key in ("version", "when", "how", "outcome", "reason")}
        origin = str(entry["from"])
        version_key(texts["version"])
        version_key(origin)
    except (KeyError, TypeError, ReleaseError):
        return None
    if texts["how"] not in get_args(How) or texts["outcome"] not in get_args(Outcome):
        return None
    return Attempt(origin=origin, **texts)  # type: ignore[arg-type]

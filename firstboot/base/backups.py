"""What became of the backups, target by target: history.json in the state, and what follows of it.

An attempt is noted when it has ended. One that a power cut ended left nothing behind that counts:
the repository has no snapshot of it, and the next attempt goes on where it stopped.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from typing_extensions import TypedDict

from firstboot.base.files import make_directory, write_atomic

FORMAT = 1
MOST_ENTRIES = 500
# A sample is restored every week; one that is missing for so long is no accident.
SAMPLE_COUNTS = datetime.timedelta(days=15)

# sample: files were restored to scratch space and compared by hash.
Kind: TypeAlias = Literal["backup", "sample"]


@dataclass(frozen=True)
class Entry:
    """One attempt. `when` is RFC 3339, UTC; `reason` why it failed, "" when it did not.

    Of a backup, `checked` says that the repository was checked after it, `thinned` that those that
    are not to be kept were let go of, `files` and `bytes` what is in it, `added` how much was new.
    Of a sample, `files` and `bytes` are what was compared.
    """

    target: str
    kind: Kind
    when: str
    reason: str = ""
    checked: bool = False
    snapshot: str = ""
    files: int = 0
    bytes: int = 0
    added: int = 0
    seconds: int = 0
    thinned: bool = False

    @property
    def good(self) -> bool:
        return not self.reason

    @property
    def time(self) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self.when)


class StandingJson(TypedDict):
    """How things are at a place for backups. Times are RFC 3339 in UTC."""

    target: str
    state: Literal["good", "none", "old", "unverified"]
    last_good: str | None
    last_test_restore: str | None
    reason: str | None


@dataclass(frozen=True)
class Standing:
    """How things are at a target; times are None where there was none.

    `state` is `good`, `none` (there is no backup yet), `old` (it is older than the owner wants) or
    `unverified` (it was not checked, or no sample of it came back as it was). `reason` is why, or
    why the last attempt failed.
    """

    target: str
    state: Literal["good", "none", "old", "unverified"]
    last_good: datetime.datetime | None
    last_sample: datetime.datetime | None
    reason: str

    def as_json(self) -> StandingJson:
        return {
            "target": self.target,
            "state": self.state,
            "last_good": self.last_good.isoformat() if self.last_good else None,
            "last_test_restore": self.last_sample.isoformat() if self.last_sample else None,
            "reason": self.reason or None,
        }

    def sentence(self) -> str:
        """For people, without the target's name."""
        if self.last_good is None:
            return f"NONE YET{self._because()}"
        text = f"last backup {_show(self.last_good)}"
        if self.state == "old":
            return f"TOO OLD: {text}{self._because()}"
        if self.state == "unverified":
            return f"UNVERIFIED: {text}{self._because()}"
        assert self.last_sample is not None, "it is good"
        text += f", last test restore {_show(self.last_sample)}"
        return f"{text}; the last attempt FAILED: {self.reason}" if self.reason else text

    def _because(self) -> str:
        return f"; {self.reason}" if self.reason else ""


def read_backups(path: Path) -> tuple[Entry, ...]:
    """All attempts, oldest first; none when there is no history or it cannot be read.

    What comes of a lost history is a warning too many, and a backup earlier than planned. Entries
    of a kind that a later version has brought are left out.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        entries = data["entries"] if data["format"] == FORMAT else []
        found = [_entry(entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(entry for entry in found if entry is not None)


def note_backup(path: Path, entry: Entry) -> None:
    """Add an attempt; on disk when this returns."""
    make_directory(path.parent, mode=0o700)
    kept = [asdict(found) for found in (*read_backups(path), entry)[-MOST_ENTRIES:]]
    write_atomic(path, json.dumps({"format": FORMAT, "entries": kept}, indent=1) + "\n")


def last_good(entries: Sequence[Entry], target: str, kind: Kind) -> Entry | None:
    """The newest attempt of a kind at a target that succeeded."""
    found = [entry for entry in entries if (entry.target, entry.kind) == (target, kind)]
    return next((entry for entry in reversed(found) if entry.good), None)


def sample_failed(entries: Sequence[Entry], target: str) -> bool:
    """Whether the last test restore from a target has failed."""
    samples = [e for e in entries if e.target == target and e.kind == "sample"]
    return bool(samples) and not samples[-1].good


def thinned_today(entries: Sequence[Entry], target: str, now: datetime.datetime) -> bool:
    """Whether old backups at a target were let go of since midnight, UTC."""
    return any(e.thinned and e.target == target and _day(e.time) == _day(now) for e in entries)


def judge(
    entries: Sequence[Entry], target: str, limit: datetime.timedelta, now: datetime.datetime
) -> Standing:
    """How things are at a target. `limit`: how old the last good backup may be."""
    of_target = [entry for entry in entries if entry.target == target]
    backup = last_good(of_target, target, "backup")
    sample = last_good(of_target, target, "sample")
    failed = next((e for e in reversed(of_target) if e.kind == "backup"), None)
    reason = failed.reason if failed and not failed.good else ""
    if backup is None:
        return Standing(target, "none", None, None, reason)
    tested = sample.time if sample else None
    if now - backup.time > limit:
        return Standing(target, "old", backup.time, tested, reason)
    unverified = _unverified(of_target, backup, sample, now)
    return Standing(
        target, "unverified" if unverified else "good", backup.time, tested, unverified or reason
    )


def _unverified(
    entries: Sequence[Entry], backup: Entry, sample: Entry | None, now: datetime.datetime
) -> str:
    """Why a good backup is not to be relied upon, "" when it is."""
    samples = [entry for entry in entries if entry.kind == "sample"]
    if samples and not samples[-1].good:
        return f"the last test restore failed: {samples[-1].reason}"
    if sample is None or now - sample.time > SAMPLE_COUNTS:
        return "no test restore so far" if sample is None else "the last test restore is too old"
    return "" if backup.checked else "the repository was not checked after it"


def _entry(data: Any) -> Entry | None:
    try:
        if data["kind"] not in get_args(Kind):
            return None
        entry = Entry(
            target=str(data["target"]),
            kind=data["kind"],
            when=str(data["when"]),
            reason=str(data["reason"]),
            checked=data["checked"] is True,
            snapshot=str(data["snapshot"]),
            files=int(data["files"]),
            bytes=int(data["bytes"]),
            added=int(data["added"]),
            seconds=int(data["seconds"]),
            # Earlier versions do not say so.
            thinned=data.get("thinned") is True,
        )
        return entry if entry.time.tzinfo is not None else None
    except (KeyError, TypeError, ValueError):
        return None


def _day(moment: datetime.datetime) -> datetime.date:
    return moment.astimezone(datetime.UTC).date()


def _show(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")

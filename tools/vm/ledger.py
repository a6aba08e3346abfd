"""What earlier harness runs left behind when they were killed, and how to undo it.

Whatever outlives its creator (a process, a network namespace, a folder of sockets) is entered
here before it comes into being and struck out after it is gone. Entries whose harness no longer
runs are leftovers. Only what stands in an entry is ever ended: nothing is found by its name.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from firstboot.base.run import run

FORMAT = 1
Kind = Literal["process", "namespace", "folder"]


@dataclass(frozen=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same number.

    `start` is the process's start in clock ticks since boot, field 22 of /proc/PID/stat (proc(5)).
    """

    pid: int
    start: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Identify a running process; ProcessLookupError when there is none (a zombie is none)."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError as error:
            raise ProcessLookupError(pid) from error
        # The second field is the program's name and may hold spaces and parentheses.
        fields = stat.rpartition(")")[2].split()
        if fields[0] in "ZX":
            raise ProcessLookupError(pid)
        return cls(pid, int(fields[19]), read_boot_id())

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            return ProcessIdentity.of(self.pid) == self
        except ProcessLookupError:
            return False


@dataclass(frozen=True)
class Entry:
    """One thing to undo: `target` is a pid, a namespace's name or a folder's path."""

    kind: Kind
    target: str
    owner: ProcessIdentity
    process: ProcessIdentity | None = None


class Ledger:
    """Entries as one small file each, so that several harnesses can write at once."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder if folder is not None else state_folder()

    @contextlib.contextmanager
    def entered(self, kind: Kind, target: str | Path) -> Iterator[None]:
        """Keep an entry for as long as the block runs (and after it, if we are killed)."""
        path = self.enter(kind, target)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def enter(self, kind: Kind, target: str | Path, pid: int | None = None) -> Path:
        """Write an entry; the caller deletes the returned file once the thing is gone."""
        process = None if pid is None else ProcessIdentity.of(pid)
        entry = Entry(kind, str(target), ProcessIdentity.of(os.getpid()), process)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.folder / f"{uuid.uuid4().hex}.json"
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps({"format": FORMAT, **asdict(entry)}))
        return draft.rename(path)

    def reap_leftovers(self) -> list[str]:
        """Undo what killed harnesses left; returns one line per thing undone.

        Processes go first: a namespace or folder in use is freed by their end.
        """
        done = []
        found = [(path, entry) for path in self._files() if (entry := _read_entry(path))]
        order: list[Kind] = ["process", "namespace", "folder"]
        for path, entry in sorted(found, key=lambda item: order.index(item[1].kind)):
            if entry.owner.alive:
                continue
            if _undo(entry):
                done.append(f"{entry.kind} {entry.target}")
            path.unlink(missing_ok=True)
        return done

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []


def reap_leftovers(ledger: Ledger | None = None) -> list[str]:
    """End what harness runs that were killed left behind; see `Ledger.reap_leftovers`."""
    return (ledger or Ledger()).reap_leftovers()


def state_folder() -> Path:
    """The folder of the entries (XDG base directory specification, `$XDG_STATE_HOME`)."""
    root = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(root) / "mailstead" / "vm"


def read_boot_id() -> str:
    """The random name of this boot of the host (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _read_entry(path: Path) -> Entry | None:
    """An entry, or None when another harness struck it out or its format is not ours."""
    try:
        raw = json.loads(path.read_text())
        if raw["format"] != FORMAT:
            return None
        process = ProcessIdentity(**raw["process"]) if raw["process"] else None
        return Entry(raw["kind"], raw["target"], ProcessIdentity(**raw["owner"]), process)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _undo(entry: Entry) -> bool:
    """Remove one leftover; returns whether there was anything to remove."""
    match entry.kind:
        case "process":
            if entry.process is None or not entry.process.alive:
                return False
            with contextlib.suppress(ProcessLookupError):
                os.kill(entry.process.pid, signal.SIGKILL)
            return True
        case "namespace":
            return run(["ip", "netns", "delete", entry.target], check=False).returncode == 0
        case "folder":
            existed = Path(entry.target).is_dir()
            shutil.rmtree(entry.target, ignore_errors=True)
            return existed

"""restic(1): encrypted repositories, with what it says turned into values and errors of ours.

The password goes by standard input. Where the repository is stands in a file, since an address may
hold credentials; other credentials are in files that the environment names. Versions from 0.17.1 on
are driven; Debian 13 and Ubuntu 26.04 have 0.18.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from firstboot.base.errors import CommandError
from firstboot.base.run import Completed, run_lines
from firstboot.system.resticerrors import (
    BackupError,
    RepositoryDamagedError,
    RepositoryLockedError,
    RepositoryMissingError,
    RepositoryRefusedError,
    checked,
)
from firstboot.system.resticpatience import Patience

# It goes when we go, however that is: what it reads is held still by locks of ours.
PROGRAM = ("setpriv", "--pdeathsig", "KILL", "restic")
# A key takes a second, on slow machines ten; the rest is for networks.
ANSWER_SECONDS = 120
# A request of which no 128 KiB get through in that time counts as failed. Restic's own choice is
# five minutes, and each of its tries may be two requests.
STUCK_SECONDS = 90
# With a lower limit (KiB a second), which several connections share, slow is not stuck.
_SLOWEST = 64
_TRIES_AGAIN = "retrying after"
# `restic features`; unknown before 0.17, and without effect once it is no choice any more.
_FIRST_ANSWER = {"RESTIC_FEATURES": "backend-error-redesign=false"}


@dataclass(frozen=True)
class Progress:
    """How far a backup is: bytes and files, done and in all, seconds so far and to go."""

    bytes_done: int
    bytes_total: int
    files_done: int
    files_total: int
    seconds: int
    seconds_left: int


@dataclass(frozen=True)
class Written:
    """What a backup wrote: the snapshot's id, bytes that were new, files and bytes in all."""

    snapshot: str
    bytes_added: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Snapshot:
    """A backup in a repository: its id (64 hexadecimal digits) and time (RFC 3339)."""

    id: str
    time: str
    host: str
    tags: tuple[str, ...]
    paths: tuple[str, ...]

    @property
    def short(self) -> str:
        return self.id[:8]


@dataclass(frozen=True)
class Key:
    """A key of a repository. `user` is the name that it was made with; `current` is ours."""

    id: str
    user: str
    current: bool


@dataclass(frozen=True)
class Restic:
    """A repository, and what it takes to use it.

    `location` is a file with where it is, as restic takes it. `environment` names files with
    credentials, `options` are restic's own. `cache` is a directory for what it would fetch again
    and again (encrypted as in the repository), None for none; `temporary` one for packs on their
    way. `upload_limit` is in KiB a second. Without
    `lock` a repository can be read that cannot be written; nobody may prune it meanwhile. `key` is
    the one that the password opens, where that is known: each that is tried takes a second.
    """

    location: Path
    password: bytes = field(repr=False)
    temporary: Path
    cache: Path | None = None
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    upload_limit: int | None = None
    lock: bool = True
    key: Key | None = None

    def exists(self) -> bool:
        """Whether there is a repository; errors other than that there is none are raised."""
        try:
            self.keys()
        except RepositoryMissingError:
            return False
        return True

    def entered(self) -> Restic:
        """The same, which knows its key. Raises what `keys` does."""
        return self.with_key(self.keys())

    def with_key(self, keys: Sequence[Key]) -> Restic:
        """The same, which knows its key, if one of `keys` is that."""
        return replace(self, key=next((key for key in keys if key.current), None))

    def keys(self) -> list[Key]:
        """All keys of the repository; RepositoryMissingError and the like when it does not open.

        Since 0.17 restic tries for a quarter of an hour, also where it is told that nobody knows
        its key or bucket. Here such words count at once, and `ANSWER_SECONDS` are enough for none.
        """
        # What is written once and never changed needs no lock, before which restic waits.
        words = replace(self, lock=False)._argv(["key", "list", "--json"])
        done = run_lines(
            ["timeout", str(ANSWER_SECONDS), *words],
            lambda _line: None,
            stdin=self.password + b"\n",
            env=self._environment(),
            complaint=_heed_refusal,
            keep=True,
        )
        return _keys(checked(done, "key").stdout)

    def init(self) -> None:
        """Make the repository, which the password will open; a bucket that is missing, too."""
        done = self._attend(["init"], lambda _line: None, environment=_FIRST_ANSWER, keep=True)
        checked(done, "init")

    def backup(
        self,
        folder: Path,
        *,
        host: str,
        tags: Sequence[str] = (),
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> Written:
        """Back up all that is in `folder`, whose files are at the top of the snapshot.

        A file whose size, time and inode are as before is not read again. Raises BackupError also
        when a file could not be read: the snapshot would lack it.
        """
        written: list[Written] = []

        def heed(message: dict[str, Any]) -> None:
            if message.get("message_type") == "status":
                progress(_progress(message))
            elif message.get("message_type") == "summary":
                written.append(_written(message))

        words = [word for tag in tags for word in ("--tag", tag)]
        self._stream(["backup", ".", "--host", host, "--ignore-ctime", *words], heed, cwd=folder)
        if not written or not written[0].snapshot:
            raise BackupError("restic did not say which snapshot it has made")
        return written[0]

    def snapshots(self, *, host: str | None = None, tag: str | None = None) -> list[Snapshot]:
        """All backups in the repository, the oldest first."""
        chosen = ["--host", host] if host else []
        chosen += ["--tag", tag] if tag else []
        listed = json.loads(self._run(["snapshots", "--json", *chosen]).stdout or "null") or []
        found = [_snapshot(entry) for entry in listed]
        return sorted(found, key=lambda snapshot: snapshot.time)

    def forget(self, keep: Mapping[str, int], *, host: str, tag: str) -> None:
        """Let go of the backups of `host` that `keep` (hourly, daily, …) does not ask for."""
        rules = [f"--keep-{name}={count}" for name, count in keep.items() if count]
        self._run(["forget", "--prune", "--host", host, "--tag", tag, "--group-by=host", *rules])

    def check(self, *, read_data: str | None = None) -> None:
        """Check that all that snapshots need is there; RepositoryDamagedError when it is not.

        `read_data`, such as `100%` or `1/10`, says how much of the data is read and hashed, too.
        """
        words = [f"--read-data-subset={read_data}"] if read_data else []
        try:
            self._run(["check", *words])
        except (RepositoryLockedError, RepositoryRefusedError, RepositoryMissingError):
            raise
        except BackupError as error:
            raise RepositoryDamagedError(
                f"the repository has errors: {error.message}",
                "What is lost there cannot be mended: begin another repository, and keep this one "
                "for what it still has. The log has all that restic said.",
            ) from None

    def unlock(self) -> None:
        """Remove locks of processes that are no more; one is refreshed every five minutes."""
        checked(self._attend(["unlock"], lambda _line: None, keep=True), "unlock")

    def list_files(self, snapshot: str) -> dict[str, int]:
        """The files of a snapshot by their path from its top, with their sizes."""
        found: dict[str, int] = {}

        def heed(entry: dict[str, Any]) -> None:
            if entry.get("type") == "file":
                found[str(entry["path"]).lstrip("/")] = int(entry.get("size", 0))

        self._stream(["ls", "--json", snapshot], heed)
        return found

    def restore(
        self,
        snapshot: str,
        target: Path,
        *,
        only: Sequence[str] = (),
        verify: bool = False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Write a snapshot's files below `target`; `only`: of these paths from its top.

        `progress` is told the bytes that are there. `verify` reads all of it again.
        """

        def heed(message: dict[str, Any]) -> None:
            if message.get("message_type") in {"status", "summary"}:
                present = ("bytes_restored", "bytes_skipped")
                progress(sum(int(message.get(name, 0)) for name in present))

        chosen = [word for path in only for word in ("--include", f"/{_literal(path)}")]
        verified = ["--verify"] if verify else []
        self._stream(["restore", snapshot, "--target", target, *verified, *chosen], heed)

    def read(self, snapshot: str, path: str) -> bytes:
        """The content of a small file of a snapshot."""
        return self._run(["dump", snapshot, f"/{path}"]).stdout.encode()

    def command(self, *words: str | Path) -> Completed:
        """Another verb of restic, to its end."""
        return self._run(words)

    def _argv(self, words: Sequence[str | Path]) -> list[str | Path]:
        cache = ["--cache-dir", self.cache, "--cleanup-cache"] if self.cache else ["--no-cache"]
        limit = [f"--limit-upload={self.upload_limit}"] if self.upload_limit else []
        options = [word for option in self.options for word in ("-o", option)]
        unlocked = [] if self.lock else ["--no-lock"]
        # What it would say when asking for the password itself goes among its results.
        where = ["--repository-file", self.location, "--password-file", "/dev/stdin"]
        quick = self.upload_limit is None or self.upload_limit >= _SLOWEST
        stuck = [f"--stuck-request-timeout={STUCK_SECONDS}s"] if quick else []
        # Others are tried where it does not open after all.
        first = [f"--key-hint={self.key.id}"] if self.key else []
        return [*PROGRAM, *where, *cache, *limit, *unlocked, *stuck, *first, *options, *words]

    def _environment(self) -> dict[str, str]:
        handed_on = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        own = {"TMPDIR": str(self.temporary), "LC_ALL": "C.UTF-8", "RESTIC_PROGRESS_FPS": "0.5"}
        return {"PATH": os.defpath, "HOME": "/root", **handed_on, **own, **self.environment}

    def _run(self, words: Sequence[str | Path]) -> Completed:
        return self._unlocking(
            lambda: checked(self._attend(words, lambda _line: None, keep=True), str(words[0]))
        )

    def _stream(
        self,
        words: Sequence[str | Path],
        heed: Callable[[dict[str, Any]], None],
        *,
        cwd: Path | None = None,
    ) -> None:
        """Run a verb whose output is one JSON object a line."""

        def line(text: str) -> None:
            try:
                message = json.loads(text)
            except ValueError:
                return
            if isinstance(message, dict):
                heed(message)

        self._unlocking(
            lambda: checked(self._attend(["--json", *words], line, cwd=cwd), str(words[0]))
        )

    def _unlocking(self, use: Callable[[], Completed]) -> Completed:
        """Use the repository, and once more where somebody may have died who had locked it.

        restic itself never passes over a lock. It is there before anything else is done, so that
        what failed for one has not begun.
        """
        try:
            return use()
        except RepositoryLockedError:
            self.unlock()
            return use()

    def _attend(
        self,
        words: Sequence[str | Path],
        line: Callable[[str], None],
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> Completed:
        """Run it to its end, or until the repository has not answered for too long."""
        return run_lines(
            self._argv(words),
            line,
            stdin=self.password + b"\n",
            env={**self._environment(), **(environment or {})},
            cwd=cwd,
            complaint=Patience(),
            keep=keep,
        )


def _heed_refusal(line: str) -> None:
    """Raise what restic was told, and would not believe: that nothing is there, or not for us."""
    if _TRIES_AGAIN not in line:
        return
    try:
        checked(Completed((), 1, "", line), "key")
    except (RepositoryMissingError, RepositoryRefusedError):
        raise
    except BackupError:
        # Such as a network that is away; it may come back.
        return


def _keys(listed: str) -> list[Key]:
    try:
        found = json.loads(listed or "null") or []
        return [Key(str(k["id"]), str(k["userName"]), k["current"] is True) for k in found]
    except (ValueError, KeyError, TypeError):
        raise CommandError("restic gave a list of keys that cannot be read") from None


def _literal(path: str) -> str:
    """A path as a pattern that stands for itself alone (restic: Go's filepath.Match)."""
    return "".join(f"\\{c}" if c in "*?[\\" else c for c in path)


def _progress(message: Mapping[str, Any]) -> Progress:
    return Progress(
        bytes_done=int(message.get("bytes_done", 0)),
        bytes_total=int(message.get("total_bytes", 0)),
        files_done=int(message.get("files_done", 0)),
        files_total=int(message.get("total_files", 0)),
        seconds=int(message.get("seconds_elapsed", 0)),
        seconds_left=int(message.get("seconds_remaining", 0)),
    )


def _written(message: Mapping[str, Any]) -> Written:
    return Written(
        snapshot=str(message.get("snapshot_id", "")),
        bytes_added=int(message.get("data_added", 0)),
        files=int(message.get("total_files_processed", 0)),
        bytes=int(message.get("total_bytes_processed", 0)),
    )


def _snapshot(entry: Mapping[str, Any]) -> Snapshot:
    try:
        return Snapshot(
            id=str(entry["id"]),
            time=str(entry["time"]),
            host=str(entry.get("hostname", "")),
            tags=tuple(entry.get("tags") or ()),
            paths=tuple(entry.get("paths") or ()),
        )
    except (KeyError, TypeError):
        raise CommandError("restic gave a list of snapshots that cannot be read") from None

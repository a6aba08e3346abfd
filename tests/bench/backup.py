"""How long do a backup and a restore take, and how much memory, beside plain restic?

Both take the same files, one vault of so many messages among them, to a folder on the same disk, by
turns in the same run. Plain restic is what an owner would write into a crontab.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click

from firstboot.backup.contents import BACKED_UP
from firstboot.base.files import write_atomic
from firstboot.base.paths import Paths
from firstboot.system.resticerrors import BackupError
from postmaster.crypto import DataKey
from postmaster.storage.interface import Delivery, NewMessage, arrival_time
from postmaster.storage.vault import Vault
from tests.bench.ending import run_bench
from tests.bench.memory import Used, run_measured
from tests.bench.search import make_messages, make_words
from tests.states.make import RECOVERY_CODE, SETTINGS, copy_tree, lay_out, make_state
from tools.build.source import CHECKOUT
from tools.host.cache import cache_folder, require_space
from tools.host.restic import use_restic
from tools.options import json_option
from tools.progress import progress

VERSION = "1.2.3"
PASSWORD = "of the peer's repository"
KEEP = ("--keep-daily=7", "--keep-weekly=5", "--keep-monthly=12")
# The state, what both repositories hold of it, and what both restore, with room to spare.
_SPACE_PER_MESSAGE = 100 << 10
_SPACE = 1 << 30

Report = Callable[[str], None]


@dataclass(frozen=True)
class State:
    """What an appliance has below `root`, with a vault that `incoming` messages more come into."""

    root: Path
    key: DataKey
    messages: Iterator[bytes]
    incoming: int

    @property
    def paths(self) -> Paths:
        return Paths.below(self.root)

    @property
    def vault(self) -> Path:
        return self.paths.state / "mailstore" / "vaults" / f"{'0' * 32}.vault"

    def deliver(self, count: int) -> None:
        """Have so many messages more in the vault, in its index, too, and close it."""
        vault = Vault(self.vault, self.key)
        for _ in range(count):
            new = NewMessage(next(self.messages), frozenset(), arrival_time())
            vault.deliver(Delivery(new))
        while vault.tidy():
            pass
        vault.close()

    def forget_backups(self) -> None:
        """Have the next backup be the first one."""
        for path in (self.paths.backup_hashes, self.paths.backup_history):
            path.unlink(missing_ok=True)

    def contents(self) -> list[str]:
        """What backups hold, by its path below the state partition."""
        found = (item.path for item in BACKED_UP)
        return [path for path in found if (self.paths.state_partition / path).exists()]

    def size(self) -> int:
        """Bytes of what backups hold."""
        roots = [self.paths.state_partition / path for path in self.contents()]
        files = [file for root in roots for file in (root, *root.rglob("*")) if file.is_file()]
        return sum(file.stat().st_size for file in files)


def lay_out_appliance(folder: Path) -> Path:
    """Lay out a machine with two people, as a start has left it; the folder that is its root."""
    make_state(VERSION, folder / "made")
    paths = lay_out(folder / "root", VERSION)
    copy_tree(folder / "made" / "state", paths.state_partition)
    write_atomic(paths.settings, SETTINGS, mode=0o600)
    return folder / "root"


@dataclass(frozen=True)
class Ours:
    """Our code. `folder` is new: the repository and what is restored lie below it."""

    state: State
    folder: Path

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    def back_up(self) -> Used:
        return self._run("back-up", self.state.root)

    def restore(self) -> Used:
        used = self._run("restore", self.folder / "back", stdin=RECOVERY_CODE)
        require_same(self.state, Paths.below(self.folder / "back").state_partition)
        return used

    def _run(self, verb: str, root: Path, *, stdin: str = "") -> Used:
        words = [verb, str(root), str(self.repository)]
        argv = [sys.executable, "-m", "tests.bench.backing", *words]
        return run_measured(argv, env=dict(os.environ), cwd=CHECKOUT, stdin=stdin)


@dataclass(frozen=True)
class Plain:
    """Plain restic, by a shell's words. `careful`: with a check of what it wrote and read."""

    state: State
    folder: Path
    careful: bool

    @property
    def repository(self) -> Path:
        return self.folder / "repository"

    def back_up(self) -> Used:
        used = Used(0.0, 0)
        if not self.repository.exists():
            used = self._run("init")
        used = used.then(self._run("backup", *self.state.contents()))
        if self.careful:
            used = used.then(self._run("check")).then(self._run("forget", "--prune", *KEEP))
        return used

    def restore(self) -> Used:
        verified = ["--verify"] if self.careful else []
        back = self.folder / "back"
        used = self._run("restore", "latest", "--target", str(back), *verified)
        require_same(self.state, back)
        return used

    def _run(self, *words: str) -> Used:
        password = self.folder / "password"
        write_atomic(password, PASSWORD, mode=0o600)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),  # its cache
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_PASSWORD_FILE": str(password),
        }
        root = self.state.paths.state_partition
        return run_measured(["restic", *words], env=environment, cwd=root)


def require_same(state: State, back: Path) -> None:
    """Raise BackupError when the vault did not come back as it is."""
    name = state.vault.relative_to(state.paths.state_partition)
    if _digest(back / name) != _digest(state.vault):
        raise BackupError("the vault did not come back as it was")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass
class Record:
    """Figures of ours, of plain restic and of restic with checks, a value for each round."""

    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def note(self, name: str, who: str, value: float) -> None:
        self.figures.setdefault(name, {}).setdefault(who, []).append(round(value, 3))

    def note_used(self, name: str, who: str, used: Used) -> None:
        self.note(f"{name}, s", who, used.seconds)
        self.note(f"{name}, peak MiB", who, used.peak / (1 << 20))

    def ratio(self, name: str, peer: str) -> float:
        """A peer's median ÷ ours: above 1 we are faster, or take less."""
        found = self.figures[name]
        return round(median(found[peer]) / max(median(found["mailstead"]), 1e-9), 2)


PEERS = ("restic", "restic with checks")


def measure(state: State, rounds: int, folder: Path, report: Report) -> Record:
    """Back up, deliver, back up again and restore, `rounds` times, each time to new places."""
    record = Record()
    for number in range(rounds):
        with TemporaryDirectory(dir=folder) as here:
            report(f"Round {number + 1} of {rounds}")
            everybody = contenders(state, Path(here))
            # Whoever comes second finds a warmer host, so they change places.
            turns = everybody[:: 1 if number % 2 == 0 else -1]
            measure_round(state, turns, record, report)
    return record


def contenders(state: State, folder: Path) -> list[tuple[str, Ours | Plain]]:
    """Ours and the peers by their names, each with a new folder."""
    for name in "abc":
        (folder / name).mkdir()
    peers = (Plain(state, folder / "b", careful=False), Plain(state, folder / "c", careful=True))
    return [("mailstead", Ours(state, folder / "a")), *zip(PEERS, peers, strict=True)]


def measure_round(
    state: State, turns: Sequence[tuple[str, Ours | Plain]], record: Record, report: Report
) -> None:
    """A first backup, mail, the next backup, and a restore, of each by turns."""
    state.forget_backups()
    for name in ("first backup", "next backup"):
        for who, one in turns:
            report(f"{name}, {who} …")
            used = one.back_up()
            record.note_used(name, who, used)
        if name == "first backup":
            state.deliver(state.incoming)
    for who, one in turns:
        record.note("repository, MiB", who, _bytes_below(one.repository) / (1 << 20))
        report(f"restore, {who} …")
        used = one.restore()
        record.note_used("restore", who, used)
        record.note("restore of a GB, s", who, used.seconds / state.size() * 1e9)


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def format_record(record: Record) -> str:
    """The report for people."""
    lines = [f"{'':28}{'Mailstead':>11}{'restic':>9}{'ratio':>8}{'with checks':>13}{'ratio':>8}"]
    for name, found in record.figures.items():
        ours, plain, careful = (median(found[who]) for who in ("mailstead", *PEERS))
        ratios = [record.ratio(name, peer) for peer in PEERS]
        lines.append(
            f"{name:28}{ours:11.2f}{plain:9.2f}{ratios[0]:8.2f}{careful:13.2f}{ratios[1]:8.2f}"
        )
    return "\n".join(lines)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--messages", default=10_000, show_default=True, help="In the first backup.")
@click.option("--incoming", default=200, show_default=True, help="Before the next backup.")
@click.option("--rounds", default=3, show_default=True, help="How often all of it is done.")
@click.option("--seed", default=1, show_default=True, help="Of the messages.")
@json_option
def bench(*, messages: int, incoming: int, rounds: int, seed: int, as_json: bool) -> None:
    """Time backups and restores of ours and of plain restic, and compare them."""
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    with progress() as report:
        use_restic(report=report)
        cache = cache_folder("bench")
        count = messages + rounds * incoming
        require_space(cache, _SPACE + count * _SPACE_PER_MESSAGE, "backups and restores")
        with TemporaryDirectory(dir=cache) as folder:
            report("Delivering messages …")
            root = lay_out_appliance(Path(folder))
            made = make_messages(count, dice, make_words(dice))
            state = State(root, DataKey(dice.randbytes(32)), made, incoming)
            state.deliver(messages)
            size = state.size()
            record = measure(state, rounds, Path(folder), report)
    if as_json:
        figures = [
            {"name": name, **found, "ratios": {peer: record.ratio(name, peer) for peer in PEERS}}
            for name, found in record.figures.items()
        ]
        found = {"messages": messages, "incoming": incoming, "rounds": rounds, "bytes": size}
        click.echo(json.dumps({**found, "figures": figures}, indent=2))
        return
    click.echo(f"{messages} messages, {size / (1 << 20):.0f} MiB; medians of {rounds} rounds\n")
    click.echo(format_record(record))


if __name__ == "__main__":
    run_bench(bench)

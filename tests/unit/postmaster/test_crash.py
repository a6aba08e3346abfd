"""A process killed at any instant of its work: what it acknowledged is there, once."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from postmaster.storage.interface import CheckPoint, TextKey, TextScope
from postmaster.storage.vault import Vault
from tests.unit.postmaster import vault_load
from tests.unit.postmaster.killing import run_and_kill
from tests.unit.postmaster.vault_load import KEY, is_delivery, message

KILLS = 4
LONGEST = 0.5  # seconds of work before a kill


def answers_until_killed(path: Path, first: int, seconds: float) -> list[tuple[int, int]]:
    """Return the numbers and modseqs that were acknowledged."""
    lines = run_and_kill(vault_load, path, first, seconds=seconds)
    return [(int(number), int(modseq)) for number, modseq in map(bytes.split, lines)]


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
        answers = answers_until_killed(path, first, dice.uniform(0, LONGEST))
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

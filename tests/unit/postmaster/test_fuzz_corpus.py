"""What fuzzing found worth keeping is replayed, and each target gets some input of no kind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
SEEDS = {name: sorted((CORPUS / name).iterdir()) for name in TARGETS}


def test_every_target_has_a_corpus() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    assert all(SEEDS.values())


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_holds(name: str) -> None:
    for path in SEEDS[name]:
        TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_of_the_corpus_hold(name: str, dice: random.Random) -> None:
    for _ in range(150):
        data = bytearray(dice.choice(SEEDS[name]).read_bytes())
        other = dice.choice(SEEDS[name]).read_bytes()
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(data) + 1)
            cut = dice.randrange(len(other) + 1)
            piece = dice.choice([b"", dice.randbytes(2), other[cut : cut + dice.randrange(64)]])
            data[at : at + dice.randrange(9)] = piece
        TARGETS[name](bytes(data))

"""Killed at any instant of sealing or draining: what was acknowledged is there, once, in order."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import pytest

from postmaster.crypto import DataKey, person_id
from postmaster.query import Unlock
from tests.states.make import read_mail
from tests.unit.postmaster import spool_load
from tests.unit.postmaster.killing import run_and_kill
from tests.unit.postmaster.spool_load import ADA, SECRET, message, open_place

SEALS, DRAINS = 2, 3
LONGEST_SEALING, LONGEST_DRAINING = 0.3, 0.15  # seconds before a kill


async def inbox(folder: Path) -> list[bytes]:
    """Unlock the vault and return what is in the inbox."""
    store = open_place(folder).store()
    await store.unlock(ADA, Unlock(person_id(ADA), DataKey(SECRET)))
    async with store.open(ADA) as mailbox:
        mail: dict[str, Any] = await mailbox.run(read_mail)
    await store.close()
    return [found["raw"].encode("latin-1") for found in mail["INBOX"]["messages"]]


@pytest.mark.parametrize("seed", [1])
def test_sealed_mail_is_neither_lost_nor_doubled(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    acknowledged: list[int] = []
    first = 0
    for _ in range(SEALS):
        seconds = dice.uniform(0, LONGEST_SEALING)
        answers = run_and_kill(spool_load, "seal", tmp_path, first, seconds=seconds)
        acknowledged += [int(line) for line in answers]
        first = acknowledged[-1] + 1
    assert acknowledged == list(range(first))
    spool = open_place(tmp_path)
    waiting = len(spool.sealed())
    # The last one of each run may be there though nobody was told; the next run sent it again.
    assert first <= waiting <= first + SEALS
    for _ in range(DRAINS):
        seconds = dice.uniform(0, LONGEST_DRAINING)
        run_and_kill(spool_load, "drain", tmp_path, 0, seconds=seconds)
    found = asyncio.run(inbox(tmp_path))
    assert spool.sealed() == []
    numbers = []
    for raw in found:
        match = re.match(rb"Subject: number (\d+)", raw)
        assert match is not None
        numbers.append(int(match[1]))
        assert raw == message(numbers[-1])
    # What came twice was kept once, by its id; one more may be there that nobody was told of.
    assert numbers in (acknowledged, [*acknowledged, first])

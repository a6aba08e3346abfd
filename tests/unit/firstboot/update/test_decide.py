"""Every reason to refuse an upgrade, one by one, and what is not refused."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.errors import UpdateRefusedError
from firstboot.base.manifest import Manifest
from firstboot.base.sections import Updates
from firstboot.system.bootloader import Entry
from firstboot.update.decide import (
    Facts,
    Request,
    Room,
    refuse_by_itself,
    refuse_metered,
    refuse_no_room,
    refuse_outside_window,
    refuse_unsuitable,
    refuse_wrong_clock,
)
from firstboot.update.history import Attempt
from tests.unit.firstboot.update.conftest import NOW
from tests.unit.firstboot.update.published import UUID

GOOD = Entry("1.0.0", Path("mailstead_1.0.0.efi"), None, 0)
TRIAL = Entry("1.0.0", Path("mailstead_1.0.0+2-1.efi"), 2, 1)
FACTS = Facts(
    version="1.0.0",
    base="ubuntu",
    built=NOW - datetime.timedelta(days=30),
    state_format=5,
    started=GOOD,
    waiting=None,
    attended=False,
    attempts=(),
    updates=Updates(),
    now=NOW,
)


def part(role: str) -> dict[str, Any]:
    transfer = {"path": f"2.0.0/{role}", "bytes": 10, "sha256": "0" * 64}
    uuid = None if role == "uki" else UUID
    return {"role": role, "bytes": 50 << 20, "sha256": "0" * 64, "uuid": uuid, "full": transfer}


MANIFEST = Manifest.model_validate(
    {
        "format": 1,
        "version": "2.0.0",
        "base": "ubuntu",
        "channel": "stable",
        "built": NOW.isoformat(),
        "not_before": NOW.isoformat(),
        "minimum_version": "1.0.0",
        "state_format": 5,
        "notes": "",
        "parts": tuple(part(role) for role in ("verity", "signature", "root", "uki")),
    }
)


def attempt(outcome: Any, how: Any = "network", version: str = "2.0.0") -> Attempt:
    return Attempt(version, "1.0.0", "2026-11-30T03:00:00Z", how, outcome, "no mail")


def manifest(**changes: object) -> Manifest:
    return MANIFEST.model_copy(update=changes)


def test_suitable() -> None:
    refuse_unsuitable(MANIFEST, FACTS, Request())


@pytest.mark.parametrize(
    ("changes", "facts", "message"),
    [
        ({"version": "1.0.0"}, {}, "1.0.0 runs already"),
        ({}, {"waiting": "2.0.0"}, "is installed and waits for a restart"),
        ({"base": "debian"}, {}, "is made of debian, this machine runs ubuntu"),
        ({"version": "0.9.9"}, {}, "0.9.9 is older than 1.0.0"),
        ({"state_format": 7}, {}, "state format 7, this machine's state has 5"),
        ({}, {"attempts": (attempt("failed"),)}, "did not work on this machine before: no mail"),
        ({}, {"started": None}, "the boot loader does not tell"),
        ({}, {"started": TRIAL}, "1.0.0 is still on trial"),
        ({}, {"started": dataclasses.replace(GOOD, version="0.9.0")}, "that it started 0.9.0"),
    ],
)
def test_refused(changes: dict[str, Any], facts: dict[str, Any], message: str) -> None:
    with pytest.raises(UpdateRefusedError, match=message):
        refuse_unsuitable(manifest(**changes), dataclasses.replace(FACTS, **facts), Request())


@pytest.mark.parametrize(
    ("changes", "facts", "request_"),
    [
        ({"version": "0.9.9", "state_format": 4}, {}, Request(allow_downgrade=True)),
        ({"state_format": 6}, {}, Request()),
        ({}, {"attempts": (attempt("failed"),)}, Request("2.0.0")),
        ({}, {"attempts": (attempt("failed"), attempt("good"))}, Request()),
        ({}, {"attempts": (attempt("interrupted"),)}, Request()),
        ({}, {"attempts": (attempt("failed", version="1.9.0"),)}, Request()),
        ({}, {"waiting": "1.9.0"}, Request()),
    ],
)
def test_not_refused(changes: dict[str, Any], facts: dict[str, Any], request_: Request) -> None:
    refuse_unsuitable(manifest(**changes), dataclasses.replace(FACTS, **facts), request_)


def test_downgrade_below_the_format_of_the_state() -> None:
    older = manifest(version="0.9.0", state_format=3)
    with pytest.raises(UpdateRefusedError, match="could not read the mail"):
        refuse_unsuitable(older, FACTS, Request("0.9.0", allow_downgrade=True))


def test_version_that_the_owner_rolled_back_from() -> None:
    back = Attempt("1.0.0", "2.0.0", "2026-11-30T03:00:00Z", "rollback", "good", "by the owner")
    facts = dataclasses.replace(FACTS, attempts=(attempt("good"), back))
    with pytest.raises(UpdateRefusedError, match="by the owner"):
        refuse_unsuitable(MANIFEST, facts, Request())
    refuse_unsuitable(MANIFEST, facts, Request("2.0.0"))


def test_metered() -> None:
    facts = dataclasses.replace(FACTS, updates=Updates(metered=True))
    with pytest.raises(UpdateRefusedError, match="metered"):
        refuse_metered(facts, Request())
    refuse_metered(facts, Request(allow_metered=True))
    refuse_metered(FACTS, Request())


def test_room() -> None:
    mib = 1 << 20
    room = Room(state=1000 * mib, esp=60 * mib, slot={"root": 50 * mib, "verity": 50 * mib})
    refuse_no_room(MANIFEST, 800 * mib, room)
    for changed, needed, where in (
        (room, 900 * mib, "the state partition has room for 1000 MiB, 1028 MiB are needed"),
        (dataclasses.replace(room, esp=51 * mib), 1, "the EFI system partition"),
        (dataclasses.replace(room, slot={"root": 50 * mib - 1}), 1, "the slot .root."),
    ):
        with pytest.raises(UpdateRefusedError, match=where):
            refuse_no_room(MANIFEST, needed, changed)


def test_by_itself() -> None:
    refuse_by_itself(MANIFEST, FACTS)
    with pytest.raises(UpdateRefusedError, match="is a candidate"):
        refuse_by_itself(manifest(channel="candidate"), FACTS)
    candidate = dataclasses.replace(FACTS, updates=Updates(channel="candidate"))
    refuse_by_itself(manifest(channel="candidate"), candidate)
    later = (NOW + datetime.timedelta(seconds=1)).isoformat()
    with pytest.raises(UpdateRefusedError, match="not for automatic upgrades before 2026-12-01"):
        refuse_by_itself(manifest(not_before=later), FACTS)


def test_clock_before_the_build() -> None:
    refuse_wrong_clock(FACTS)
    year = datetime.timedelta(days=365)
    with pytest.raises(UpdateRefusedError, match="the clock is wrong: it says 2025-12-01"):
        refuse_wrong_clock(dataclasses.replace(FACTS, now=NOW - year))


def test_window() -> None:
    refuse_outside_window(FACTS)
    with pytest.raises(UpdateRefusedError, match="outside of the window 03:01-04:00"):
        refuse_outside_window(dataclasses.replace(FACTS, updates=Updates(window="03:01-04:00")))

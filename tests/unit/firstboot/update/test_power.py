"""Power that goes at any write of an upgrade: the machine starts, and the upgrade can be repeated.

Every step that brings something to disk is a place where power may go; from then on none of them
does anything any more, not even those of clean-up code.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.run import run
from firstboot.system.console import Console
from firstboot.update.apply import apply, choose, prepare
from firstboot.update.decide import Request
from firstboot.update.settle import settle
from firstboot.update.source import opened
from tests.unit.firstboot.update.conftest import Appliance
from tests.unit.firstboot.update.published import Publisher, contents

NEW = "mailstead_2.0.0+3-0.efi"
# All of them would take long; these fall into every phase.
STRIDE = 3
MOST = 200


class PowerCutError(BaseException):
    """Nothing after this happens."""


class Power:
    """Lets `steps` steps happen."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def through(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            if self.left <= 0:
                raise PowerCutError
            self.left -= 1
            return step(*arguments, **options)

        return guarded


def upgrade(appliance: Appliance, publisher: Publisher) -> None:
    with opened(publisher.folder) as source:
        choice = choose(appliance.machine, source, Request())
        prepared = prepare(appliance.machine, source, Request(), choice)
        apply(appliance.machine, source, prepared, appliance.report)


def cut_off(appliance: Appliance, publisher: Publisher, steps: int) -> bool:
    """Whether an upgrade needs more than so many steps."""
    power = Power(steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", power.through(os.fsync))
        patch.setattr("firstboot.system.sysupdate.run", power.through(run))
        for name in ("replace", "unlink"):
            patch.setattr(Path, name, power.through(getattr(Path, name)))
        try:
            upgrade(appliance, publisher)
        except PowerCutError:
            return True
    return False


def test_power_cuts(appliance: Appliance, publisher: Publisher) -> None:
    publisher.publish("2.0.0", delta_from=contents("1.0.0"))
    phases = set()
    for steps in range(0, MOST, STRIDE):
        if not cut_off(appliance, publisher, steps):
            break
        assert "mailstead_1.0.0.efi" in appliance.entries
        if NEW in appliance.entries:
            # It is tried at the next start, so all of it has to be there, and be remembered.
            phases.add("installed")
            assert appliance.written("2.0.0")
            assert settle(appliance.machine, Console(())) is None
            assert appliance.history[-1].outcome == "pending"
            appliance.machine.loader.condemn("2.0.0")
        settled = settle(appliance.machine, Console(()))
        phases.add(settled.outcome if settled else "fetching")
        upgrade(appliance, publisher)
        assert appliance.entries == ["mailstead_1.0.0.efi", NEW]
        assert appliance.written("2.0.0")
        as_before(appliance)
    else:
        pytest.fail("the upgrade never came to its end")
    assert phases == {"fetching", "interrupted", "installed"}


def as_before(appliance: Appliance) -> None:
    """1.0.0 alone, as if nothing had been tried yet."""
    appliance.machine.loader.condemn("2.0.0")
    appliance.paths.update_history.unlink()
    for kind in ("verity", "sig", "root"):
        (appliance.disk / f"b-{kind}").write_bytes(b"")

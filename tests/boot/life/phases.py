"""The phases of an upgrade in which its power test takes the power away, each told by a sign."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from firstboot.base.manifest import Manifest
from firstboot.base.paths import Paths
from firstboot.base.waiting import wait_for
from tests.boot.life.conftest import Life
from tools.boot.appliance import READY_SECONDS, TROUBLE

# From the command to the restart, in seconds under KVM; scaled for emulation.
RESTART_SECONDS = 240.0
HEALTHY = "mailstead: every container is healthy"


@dataclass(frozen=True)
class Phase:
    """`begin` starts an upgrade and returns when the sign is there.

    The power goes at most `seconds` (under KVM) later. `old` says whether the version before may
    be the one that starts then.
    """

    name: str
    begin: Callable[[Life, Manifest], None]
    seconds: float
    old: bool


def _start(life: Life, manifest: Manifest) -> None:
    """As its owner does, but in the background."""
    argv = ["mailstead", "update", "apply", manifest.version, "--yes"]
    life.machine.guest.run(["systemd-run", "--no-block", *argv])


def _download(life: Life, manifest: Manifest) -> None:
    """The server has sent some of the release. Nothing is there of an earlier attempt."""
    life.machine.guest.run(["rm", "-rf", str(Paths().ready), str(Paths().downloads)])
    life.mirror.forget()
    envelope = f"{manifest.version}/release.json"

    def sent() -> bool:
        return any(path != envelope for path in list(life.mirror.served))

    _start(life, manifest)
    seconds = life.machine.accelerator.scaled(RESTART_SECONDS)
    wait_for(sent, what="a download", timeout=seconds, interval=0.1)


def _write(life: Life, manifest: Manifest) -> None:
    """It is in the history, which comes before the first byte in the slot."""

    def begun() -> bool:
        noted = life.machine.guest.run(["cat", str(Paths().update_history)])
        return '"pending"' in noted.stdout

    assert not begun()
    _start(life, manifest)
    seconds = life.machine.accelerator.scaled(RESTART_SECONDS)
    wait_for(begun, what="an attempt in the history", timeout=seconds)


def _first_start(life: Life, manifest: Manifest) -> None:
    """The machine restarts: what follows is the firmware, the boot loader, and the new system."""
    mark = life.machine.monitor.mark()
    _start(life, manifest)
    seconds = life.machine.accelerator.scaled(RESTART_SECONDS)
    life.machine.monitor.wait_event("RESET", seconds=seconds, after=mark)


def _blessing(life: Life, manifest: Manifest) -> None:
    """The new version has found itself well: now its entry is renamed, and the history settled."""
    _first_start(life, manifest)
    mark = life.machine.console.mark()
    life.machine.wait_for_console(HEALTHY, seconds=READY_SECONDS, fail_on=TROUBLE, after=mark)


PHASES = (
    Phase("download", _download, 2.0, old=True),
    Phase("write", _write, 4.0, old=True),
    Phase("first start", _first_start, 20.0, old=False),
    Phase("blessing", _blessing, 2.0, old=False),
)

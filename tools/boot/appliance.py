"""An appliance that runs in QEMU, and the moments on its way from power-on to ready."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstboot.base.paths import Paths
from firstboot.base.roundtrip import Account, trusting
from firstboot.base.services import Stack, read_stack
from tools.boot.example import Example
from tools.build.source import CHECKOUT
from tools.host.cache import cache_folder
from tools.vm import Disk, Hardware, Machine, UserNetwork
from tools.vm.ledger import Ledger
from tools.vm.network import Network

CREDENTIAL = "mailstead.seed"
# Lines that the machine puts on its consoles; deadlines are seconds under KVM.
CONSOLE_READY = r"mailstead: console ready"
SETUP_DONE = r"mailstead: setup done"
WAITING = r"mailstead: waiting for settings"
READY = r"mailstead: ready (\S+)"
TROUBLE = (r"mailstead: error: .*", r"Kernel panic.*")
BOOT_SECONDS = 60.0
READY_SECONDS = 120.0
ANSWER_SECONDS = 15.0
DEFAULT_DISK = 20 << 30


@dataclass(frozen=True)
class Moments:
    """Seconds since power-on: the machine speaks, its settings are applied, its services answer."""

    console_ready: float
    setup_done: float
    ready: float


def declared() -> Stack:
    """The services of this checkout."""
    return read_stack(CHECKOUT / "compose/services.yaml")


def forwarded() -> UserNetwork:
    """A network in which every declared port is reachable on the host's loopback interface."""
    return UserNetwork({port.name: port.published for port in declared().ports})


def hardware(*, seed: str | None, memory_mib: int = 2048) -> Hardware:
    """A small VPS; `seed` reaches it as a systemd credential."""
    credentials = () if seed is None else ((CREDENTIAL, seed.encode()),)
    return Hardware(memory_mib=memory_mib, credentials=credentials)


@contextmanager
def powered_on(
    image: Path,
    parts: Hardware,
    *,
    disk_bytes: int = DEFAULT_DISK,
    network: Network | None = None,
    logs: Path | None = None,
    on_output: Callable[[str], None] | None = None,
) -> Iterator[Machine]:
    """A machine with a new disk that begins as `image`, which is never written to.

    Without `network`, every declared port is forwarded to the host's loopback interface.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(disk_folder())
        disk = Disk.create(folder / "disk", image, size=disk_bytes)
        machine = Machine(disk, parts, network or forwarded(), logs=logs, on_output=on_output)
        yield stack.enter_context(machine)


@contextmanager
def disk_folder() -> Iterator[Path]:
    """A folder for disks of machines, which grow to gigabytes; goes even when we are killed."""
    folder = Path(tempfile.mkdtemp(prefix="disk-", dir=cache_folder("machines")))
    with Ledger().entered("folder", folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def await_ready(machine: Machine, report: Callable[[str], None] = lambda _: None) -> Moments:
    """Wait until all services answer; raises with the machine's own words when it says an error."""
    report("Waiting for the machine to start …")
    machine.wait_for_console(CONSOLE_READY, seconds=BOOT_SECONDS)
    console_ready = machine.uptime
    report("Waiting for it to set itself up …")
    machine.wait_for_console(SETUP_DONE, seconds=BOOT_SECONDS, fail_on=TROUBLE)
    setup_done = machine.uptime
    report("Waiting for its services …")
    machine.wait_for_console(READY, seconds=READY_SECONDS, fail_on=TROUBLE)
    return Moments(console_ready, setup_done, machine.uptime)


def account(machine: Machine, example: Example) -> Account:
    """The example person's mailbox, through the forwarded ports.

    The certificate is asked of the machine's inside, so that nothing in between is trusted.
    """
    certificate = machine.guest.read_file(str(Paths().certificate))
    return Account(
        hostname=example.hostname,
        address=example.address,
        password=example.password,
        submission=machine.ports["submission"],
        imaps=machine.ports["imaps"],
        context=trusting(certificate.decode("ascii")),
        patience=machine.accelerator.scaled(ANSWER_SECONDS),
    )


def read_status(machine: Machine) -> Mapping[str, Any]:
    """What `mailstead status --json` says inside."""
    status: Mapping[str, Any] = json.loads(
        machine.guest.run(["mailstead", "status", "--json"]).stdout
    )
    return status

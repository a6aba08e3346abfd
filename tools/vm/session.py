"""One power-on: all that exists until the power is gone again, acquired in order."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from tools.vm.commandline import Parts, qemu_arguments
from tools.vm.console import Console
from tools.vm.deadline import Deadline
from tools.vm.errors import MachineDiedError
from tools.vm.ledger import Ledger
from tools.vm.processes import Child, started
from tools.vm.qmp import Monitor
from tools.vm.sockets import listening
from tools.vm.tpm import running_tpm

START_SECONDS = 30.0
END_SECONDS = 20.0


@dataclass(frozen=True)
class Session:
    """What exists from power-on to power-off."""

    qemu: Child
    console: Console
    monitor: Monitor
    ports: Mapping[str, int]
    powered_on: float


def power_on(
    stack: ExitStack, parts: Parts, ledger: Ledger, on_output: Callable[[str], None] | None
) -> Session:
    """Start the machine; `stack` releases all of it in reverse order.

    Raises MachineDiedError when QEMU or swtpm does not start, with its own words.
    """
    connections = parts.connections
    if not parts.disk.variables.exists():
        shutil.copyfile(parts.firmware.variables, parts.disk.variables)
    link = stack.enter_context(parts.network.link(ledger))
    if parts.hardware.tpm:
        log = connections.logs / "swtpm.log"
        stack.enter_context(running_tpm(parts.disk.tpm, connections.tpm, log=log, ledger=ledger))
    serial = stack.enter_context(listening(connections.console))
    control = stack.enter_context(listening(connections.control))
    argv = [*link.wrapper, *parts.accelerator.qemu, *qemu_arguments(parts, link.netdev)]
    log = connections.logs / "qemu.log"
    powered_on = time.monotonic()
    qemu = stack.enter_context(started("qemu", argv, log=log, ledger=ledger))

    deadline = Deadline(parts.accelerator.scaled(START_SECONDS))
    console = Console(qemu.accept(serial, deadline), on_output)
    stack.callback(console.close)
    with explained(qemu):
        monitor = Monitor(qemu.accept(control, deadline), lambda event: _end_stopped(qemu, event))
    stack.callback(monitor.close)
    with explained(qemu):
        ports = parts.network.read_ports(monitor)
    return Session(qemu, console, monitor, ports, powered_on)


@contextlib.contextmanager
def explained(qemu: Child) -> Iterator[None]:
    """Add QEMU's own last words to an error about its end."""
    try:
        yield
    except MachineDiedError as error:
        qemu.wait(END_SECONDS)
        words = f"QEMU's exit code is {qemu.returncode}, and it said:\n{qemu.log_tail()}"
        raise MachineDiedError(f"{error}\n{words}", error.hint) from error


def _end_stopped(qemu: Child, event: Mapping[str, Any]) -> None:
    """End QEMU when its guest was stopped.

    We never stop a guest, so it is KVM that could not go on with it: an end, not a long wait.
    """
    if event["event"] == "STOP":
        qemu.kill()

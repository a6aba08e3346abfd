"""How a machine is connected: through QEMU's own NAT, or by a cable into a network namespace."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from firstboot.base.run import Completed, run
from tools.vm.errors import VirtualMachineError
from tools.vm.ledger import Ledger
from tools.vm.qmp import Monitor

LOOPBACK = "127.0.0.1"

# `info usernet` of QEMU's human monitor: protocol, descriptor, source and destination.
_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+(\S+)\s+(\d+)\s+\S+\s+(\d+)")


@dataclass(frozen=True)
class Link:
    """What QEMU needs to be connected: words before its command, and its `-netdev` option."""

    netdev: str
    wrapper: tuple[str, ...] = ()


class Network(Protocol):
    """A kind of network. To add one: implement these two methods and hand it to `Machine`."""

    def link(self, ledger: Ledger) -> AbstractContextManager[Link]:
        """Make what the network needs on the host, and take it away afterwards."""

    def read_ports(self, monitor: Monitor) -> dict[str, int]:
        """The host's loopback port for each forwarded service, once the machine runs."""


@dataclass(frozen=True)
class UserNetwork:
    """NAT by QEMU itself, without privileges; the guest gets its addresses by DHCP and RA.

    `forward`: service name → the guest's TCP port, reached on a free port of the host's loopback.
    """

    forward: Mapping[str, int] = field(default_factory=dict)

    @contextlib.contextmanager
    def link(self, ledger: Ledger) -> Iterator[Link]:  # noqa: ARG002
        """Nothing is needed on the host; port 0 lets the kernel choose, so nobody can be faster."""
        ports = [f"hostfwd=tcp:{LOOPBACK}:0-:{port}" for port in sorted(set(self.forward.values()))]
        yield Link(",".join(["user,id=net0", *ports]))

    def read_ports(self, monitor: Monitor) -> dict[str, int]:
        """Ask QEMU which ports the kernel chose."""
        if not self.forward:
            return {}
        answer = monitor.human("info usernet")
        chosen = {int(guest): int(host) for _, host, guest in _FORWARD.findall(answer)}
        missing = sorted(name for name, port in self.forward.items() if port not in chosen)
        if missing:
            raise VirtualMachineError(
                f"QEMU does not forward {', '.join(missing)}; it said:\n{answer}",
                hint="This QEMU prints `info usernet` in a way that is not known yet.",
            )
        return {name: chosen[port] for name, port in self.forward.items()}


@dataclass(frozen=True)
class NamespaceNetwork:
    """A cable into a network namespace of its own, to look at every port from outside.

    Needs root. The guest is configured statically (by its seed): `guest` and `guest6` with
    `gateway` and `gateway6`. The addresses are those for documentation (RFC 5737, RFC 3849): they
    exist inside the namespace only, so every machine can have the same.
    """

    gateway: str = "192.0.2.1/24"
    guest: str = "192.0.2.2/24"
    gateway6: str = "2001:db8::1/64"
    guest6: str = "2001:db8::2/64"
    name: str = field(default_factory=lambda: f"mailstead-{uuid.uuid4().hex[:8]}")

    @contextlib.contextmanager
    def link(self, ledger: Ledger) -> Iterator[Link]:
        """Make the namespace with a tap device in it; both go when the namespace is deleted."""
        with ledger.entered("namespace", self.name):
            run(["ip", "netns", "add", self.name])
            try:
                self._configure()
                # QEMU opens the tap itself: it runs inside the namespace.
                netdev = "tap,id=net0,ifname=tap0,script=no,downscript=no"
                yield Link(netdev, ("ip", "netns", "exec", self.name))
            finally:
                run(["ip", "netns", "delete", self.name], check=False)

    def read_ports(self, monitor: Monitor) -> dict[str, int]:  # noqa: ARG002
        """Nothing is forwarded: the guest is reached at its own address by `run`."""
        return {}

    def run(self, argv: Sequence[str | Path], *, timeout: float | None = None) -> Completed:
        """Run a command of the host inside the namespace: the guest's neighbour."""
        return run(["ip", "netns", "exec", self.name, *argv], timeout=timeout)

    def _configure(self) -> None:
        ip = ["ip", "-n", self.name]
        run([*ip, "link", "set", "lo", "up"])
        run([*ip, "tuntap", "add", "dev", "tap0", "mode", "tap"])
        run([*ip, "address", "add", self.gateway, "dev", "tap0"])
        # Without nodad the address would stay tentative until the guest's side is up.
        run([*ip, "address", "add", self.gateway6, "dev", "tap0", "nodad"])
        run([*ip, "link", "set", "tap0", "up"])

"""`mailstead status`: what the machine is and how it is doing, without judging it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from firstboot.base.compose import PROJECT
from firstboot.base.errors import EngineError, MailsteadError
from firstboot.base.health import ailments
from firstboot.base.memory import read_memory
from firstboot.checks.machine import Machine
from firstboot.system.clock import uptime_seconds
from firstboot.system.disk import read_disk
from firstboot.system.sockets import listening

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class ContainerStatus:
    """A service's container. `status` is Docker's word, `health` is `healthy` or `unhealthy`.

    `memory` is in bytes, None when it does not run.
    """

    name: str
    status: str
    health: str
    restarts: int
    memory: int | None


@dataclass(frozen=True)
class PortStatus:
    """A declared port, and whether anybody listens there."""

    name: str
    port: int
    tls: str
    listening: bool


@dataclass(frozen=True)
class Usage:
    """Bytes."""

    total: int
    used: int


@dataclass(frozen=True)
class Status:
    """Everything `mailstead status` shows; `uptime` in seconds."""

    version: str
    base: str
    commit: str
    built: str
    hostname: str
    uptime: float
    containers: tuple[ContainerStatus, ...]
    ports: tuple[PortStatus, ...]
    disk: Usage
    memory: Usage
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read_status(machine: Machine) -> Status:
    """Look at everything; what cannot be looked at is named in `problems`."""
    problems: list[str] = []
    try:
        containers = _containers(machine, problems)
    except MailsteadError as error:
        problems.append(str(error))
        containers = ()
    memory, disk = read_memory(), read_disk(machine.paths.state_partition)
    open_ports = {listener.port for listener in listening()}
    return Status(
        version=machine.release.version,
        base=machine.release.base,
        commit=machine.release.commit,
        built=machine.release.built,
        hostname=machine.settings.hostname,
        uptime=round(uptime_seconds(), 1),
        containers=containers,
        ports=tuple(
            PortStatus(port.name, port.published, port.tls, port.published in open_ports)
            for port in machine.needed.ports
        ),
        disk=Usage(disk.total, disk.used),
        memory=Usage(memory.total, memory.used),
        problems=tuple(problems),
    )


def format_status(status: Status) -> str:
    """The status as text for people, in aligned columns."""
    head = [
        ("Mailstead", f"{status.version} ({status.base}, commit {status.commit[:12]})"),
        ("built", status.built),
        ("hostname", status.hostname),
        ("uptime", _duration(status.uptime)),
        ("memory", _usage(status.memory, MIB, "MiB")),
        ("disk", _usage(status.disk, GIB, "GiB")),
    ]
    containers = [("container", "state", "health", "memory")]
    for found in status.containers:
        memory = "-" if found.memory is None else f"{found.memory / MIB:.0f} MiB"
        containers.append((found.name, found.status, found.health, memory))
    ports = [("port", "service", "TLS", "")]
    for port in status.ports:
        state = "listening" if port.listening else "CLOSED"
        ports.append((str(port.port), port.name, port.tls, state))
    blocks = [columns(head), columns(containers), columns(ports)]
    if status.problems:
        blocks.append("\n".join(f"problem: {problem}" for problem in status.problems))
    return "\n\n".join(blocks)


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of equal length as left-aligned columns, two spaces apart."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _containers(machine: Machine, problems: list[str]) -> tuple[ContainerStatus, ...]:
    engine, found = machine.engine, []
    containers = engine.containers(PROJECT)
    ill = ailments(containers, machine.needed.services)
    problems += [f"{name}: {ailment}" for name, ailment in ill.items()]
    for container in containers:
        memory = None
        if container.status == "running":
            try:
                memory = engine.memory(container)
            except EngineError:
                # It may have stopped since it was listed.
                memory = None
        name, health = container.service, "unhealthy" if container.service in ill else "healthy"
        found.append(ContainerStatus(name, container.status, health, container.restarts, memory))
    return tuple(found)


def _usage(usage: Usage, unit: int, name: str) -> str:
    used, total = usage.used / unit, usage.total / unit
    digits = 0 if unit == MIB else 1
    return f"{used:.{digits}f} of {total:.{digits}f} {name} used"


def _duration(seconds: float) -> str:
    minutes, hours, days = int(seconds) // 60, int(seconds) // 3600, int(seconds) // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {int(seconds) % 60} s"

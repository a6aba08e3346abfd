"""`mailstead check`: small questions about the machine, each with an answer and what to do."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from firstboot.base.canary import canary_account
from firstboot.base.engine import lacking
from firstboot.base.errors import MailsteadError
from firstboot.base.roundtrip import round_trip
from firstboot.base.sshkeys import PORT as SSH_PORT
from firstboot.checks.machine import Machine
from firstboot.system.clock import is_synchronized
from firstboot.system.disk import read_disk
from firstboot.system.memory import read_memory
from firstboot.system.openssh import ssh_is_on
from firstboot.system.probe import port_problem
from firstboot.system.sockets import listening
from firstboot.system.systemctl import failed_units

State = Literal["pass", "warn", "fail"]

MIB = 1 << 20
GIB = 1 << 30
DISK_WARN_PERCENT, DISK_FAIL_PERCENT = 15.0, 5.0
MEMORY_WARN, MEMORY_FAIL = 128 * MIB, 48 * MIB


@dataclass(frozen=True)
class Result:
    """One answer: what was measured; and, unless it passed, why that matters and what to do."""

    name: str
    state: State
    measured: str
    why: str = ""
    what_to_do: str = ""


Check = Callable[[Machine], Result]


def check_containers(machine: Machine) -> Result:
    """Every service runs, from the very image of this slot, and nothing else runs."""
    containers = machine.engine.containers()
    images = {service.name: service.image for service in machine.stack.services}
    problems = lacking(containers, images)
    for container in containers:
        image = images.get(container.service)
        if image is None:
            problems.append(f"{container.service}: not a service of this version")
        elif container.image_id not in machine.release.image(image).ids:
            problems.append(f"{container.service}: runs {container.image_id}, not of this slot")
    if problems:
        # Docker looks seldom, so a container that just started may not have been looked at yet.
        starting = all(problem.endswith(": starting") for problem in problems)
        return Result(
            "containers",
            "warn" if starting else "fail",
            "; ".join(problems),
            "Mail is only served while every service runs as it was built.",
            "Restart the machine; containers are made anew from the slot.",
        )
    return Result("containers", "pass", f"{len(containers)} running, all from this slot")


def check_ports(machine: Machine) -> Result:
    """Every declared port answers as declared."""
    problems = []
    for port in machine.stack.ports:
        hostname, certificate = machine.settings.hostname, machine.paths.certificate
        if problem := port_problem(port, hostname, certificate):
            problems.append(f"{port.published} ({port.name}): {problem}")
    if problems:
        return Result(
            "ports",
            "fail",
            "; ".join(problems),
            "Other servers and mail programs cannot connect there.",
            "Look at the containers first; they answer on these ports.",
        )
    numbers = " ".join(str(port.published) for port in machine.stack.ports)
    return Result("ports", "pass", f"answering: {numbers}")


def check_listeners(machine: Machine) -> Result:
    """Nobody but the declared ports can be reached from outside."""
    declared = {port.published for port in machine.stack.ports}
    if ssh_is_on(machine.paths):
        declared.add(SSH_PORT)
    extra = sorted({found.port for found in listening() if found.reachable} - declared)
    if extra:
        return Result(
            "listeners",
            "fail",
            "undeclared: " + " ".join(str(port) for port in extra),
            "Whatever listens there can be attacked from the network.",
            "This image opens ports that it does not declare: build it anew and report it.",
        )
    return Result("listeners", "pass", "only declared ports are open")


def check_disk(machine: Machine) -> Result:
    """There is room for mail."""
    disk = read_disk(machine.paths.state_partition)
    left = min(disk.free_percent, disk.free_inodes_percent)
    state = _threshold(left, DISK_WARN_PERCENT, DISK_FAIL_PERCENT)
    measured = f"{disk.free / GIB:.1f} of {disk.total / GIB:.1f} GiB free"
    if state == "pass":
        return Result("disk", state, measured)
    why = "A machine without room must refuse mail."
    return Result("disk", state, measured, why, "Delete mail, or give the machine a larger disk.")


def check_memory(_machine: Machine) -> Result:
    """There is memory left for another connection or two."""
    memory = read_memory()
    state = _threshold(memory.available, MEMORY_WARN, MEMORY_FAIL)
    measured = f"{memory.available // MIB} of {memory.total // MIB} MiB available"
    if state == "pass":
        return Result("memory", state, measured)
    why = "Without memory, services are killed while they work."
    return Result("memory", state, measured, why, "Give the machine more memory.")


def check_clock(machine: Machine) -> Result:
    """The clock is not before this version was built, and a time server has set it."""
    now = datetime.datetime.now(datetime.UTC)
    shown = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    why = "Certificates, and the dates of mail, need the right time."
    try:
        built = datetime.datetime.fromisoformat(machine.release.built)
    except ValueError:
        built = now
    if built.tzinfo is not None and now < built:
        advice = "Set the clock of the machine, or let it reach a time server."
        return Result("clock", "fail", f"{shown}, before this version was built", why, advice)
    if not is_synchronized():
        advice = "Let the machine reach a time server (UDP port 123)."
        return Result("clock", "warn", f"{shown}, not set by a time server", why, advice)
    return Result("clock", "pass", f"{shown}, set by a time server")


def check_units(_machine: Machine) -> Result:
    """systemd reports no failed unit."""
    failed = failed_units()
    if failed:
        return Result(
            "units",
            "warn",
            "failed: " + " ".join(failed),
            "A part of the operating system did not start.",
            "Restart the machine; if it stays so, report it with the journal.",
        )
    return Result("units", "pass", "none failed")


def check_round_trip(machine: Machine) -> Result:
    """A message sent through submission comes back over IMAP as it was sent."""
    done = round_trip(canary_account(machine.paths, machine.settings, machine.stack))
    parts = (
        f"submitted {done.submit_seconds:.2f} s",
        f"delivered {done.delivery_seconds:.2f} s",
        f"deleted {done.delete_seconds:.2f} s",
    )
    return Result("round trip", "pass", f"{done.bytes} bytes unchanged; {', '.join(parts)}")


# A new check is a function like those above and one line here.
CHECKS: dict[str, Check] = {
    "containers": check_containers,
    "ports": check_ports,
    "listeners": check_listeners,
    "disk": check_disk,
    "memory": check_memory,
    "clock": check_clock,
    "units": check_units,
    "round trip": check_round_trip,
}


def run_checks(machine: Machine) -> tuple[Result, ...]:
    """Run every check; one that cannot be carried out has failed."""
    return tuple(_run(name, check, machine) for name, check in CHECKS.items())


def format_results(results: tuple[Result, ...]) -> str:
    """The results as text for people: one aligned line each, with reasons below it."""
    width = max(len(result.name) for result in results)
    lines = []
    for result in results:
        state = result.state if result.state == "pass" else result.state.upper()
        lines.append(f"{state}  {result.name.ljust(width)}  {result.measured}")
        for reason in (result.why, result.what_to_do):
            if reason:
                lines.append(f"{'':4}  {'':{width}}  {reason}")
    return "\n".join(lines)


def _run(name: str, check: Check, machine: Machine) -> Result:
    try:
        return check(machine)
    except MailsteadError as error:
        return Result(name, "fail", error.message, "This could not be checked.", error.hint)


def _threshold(value: float, warn: float, fail: float) -> State:
    if value < fail:
        return "fail"
    return "warn" if value < warn else "pass"

"""Checks of the mail service: its containers, its ports, a message all the way round."""

from __future__ import annotations

from firstboot.base.canary import canary_round_trip
from firstboot.base.health import ailments
from firstboot.checks.machine import Machine
from firstboot.checks.result import Result
from firstboot.system.probe import port_problem


def check_containers(machine: Machine) -> Result:
    """Every service answers, from the very image of this slot, and nothing else runs."""
    containers = machine.engine.containers()
    images = {service.name: service.image for service in machine.stack.services}
    ill = ailments(containers, machine.needed.services)
    problems = [f"{name}: {ailment}" for name, ailment in ill.items()]
    for container in containers:
        image = images.get(container.service)
        if image is None:
            problems.append(f"{container.service}: not a service of this version")
        elif container.image_id not in machine.release.image(image).ids:
            problems.append(f"{container.service}: runs {container.image_id}, not of this slot")
    if problems:
        return Result(
            "containers",
            "fail",
            "; ".join(problems),
            "Mail is only served while every service runs as it was built.",
            "Restart the machine; containers are made anew from the slot.",
        )
    return Result("containers", "pass", f"{len(containers)} running, all from this slot")


def check_ports(machine: Machine) -> Result:
    """Every declared port answers as declared."""
    problems = []
    for port in machine.needed.ports:
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
    numbers = " ".join(str(port.published) for port in machine.needed.ports)
    return Result("ports", "pass", f"answering: {numbers}")


def check_round_trip(machine: Machine) -> Result:
    """A message sent through submission comes back as it was sent.

    Over IMAP, or by being forwarded where nobody has a mailbox.
    """
    done = canary_round_trip(machine.paths, machine.settings, machine.stack, machine.engine)
    parts = (
        f"submitted {done.submit_seconds:.2f} s",
        f"{'delivered' if machine.settings.people else 'forwarded'} {done.delivery_seconds:.2f} s",
        f"deleted {done.delete_seconds:.2f} s",
    )
    return Result("round trip", "pass", f"{done.bytes} bytes unchanged; {', '.join(parts)}")

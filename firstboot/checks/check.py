"""`mailstead check`: small questions about the machine, each with an answer and what to do."""

from __future__ import annotations

import dataclasses
import textwrap
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from firstboot.base.errors import MailsteadError
from firstboot.checks.backups import check_backups
from firstboot.checks.duplicates import check_duplicate_addresses, has_fixed_addresses
from firstboot.checks.hardware import (
    check_clock,
    check_disk,
    check_listeners,
    check_memory,
    check_processor,
    check_secure_boot,
    check_tpm,
    check_units,
    check_virtualisation,
)
from firstboot.checks.machine import Bare, Machine
from firstboot.checks.mail import check_containers, check_ports, check_round_trip
from firstboot.checks.network import (
    check_addresses,
    check_gateway,
    check_interception,
    check_link,
    check_public_address,
    check_resolver,
)
from firstboot.checks.outside import check_blocklists, check_ports_in, check_reverse_dns
from firstboot.checks.result import Group, Result
from firstboot.checks.security import check_certificate, check_firewall
from firstboot.checks.sending import (
    check_limits,
    check_port_25_out,
    check_relay,
    sends_itself,
    uses_relay,
)

GROUPS: tuple[Group, ...] = ("machine", "network", "mail")
# For all slow ones together, which wait for others.
SLOW_SECONDS = 45.0
# Of a console, less the one that would break the line.
COLUMNS = 79


@dataclass(frozen=True)
class Check:
    """A check in its group. One that needs settings has `set_up`, and one that does not `bare`.

    `slow`: it waits for others, so it runs beside the rest. `outside`: it asks parties by name that
    nobody has chosen. `when`: on which machines it makes sense, if not on all.
    """

    name: str
    group: Group
    bare: Callable[[Bare], Result] | None = None
    set_up: Callable[[Machine], Result] | None = None
    slow: bool = False
    outside: bool = False
    when: Callable[[Bare], bool] = lambda _machine: True

    def suits(self, machine: Bare) -> bool:
        return (self.bare is not None or isinstance(machine, Machine)) and self.when(machine)

    def run(self, machine: Bare) -> Result:
        """The answer; a check that cannot be carried out has failed."""
        try:
            if self.set_up is not None and isinstance(machine, Machine):
                found = self.set_up(machine)
            else:
                assert self.bare is not None, "it suits the machine"
                found = self.bare(machine)
        except MailsteadError as error:
            why = "This could not be checked."
            found = Result(self.name, "fail", error.message, why, error.hint)
        return dataclasses.replace(found, group=self.group)


# A new check is a function like those above and one line here. They are shown in this order.
CHECKS: tuple[Check, ...] = (
    Check("memory", "machine", check_memory),
    Check("disk", "machine", check_disk),
    Check("processor", "machine", check_processor),
    Check("virtualisation", "machine", check_virtualisation),
    Check("clock", "machine", check_clock),
    Check("TPM", "machine", check_tpm),
    Check("Secure Boot", "machine", check_secure_boot),
    Check("units", "machine", check_units),
    Check("listeners", "machine", set_up=check_listeners),
    Check("firewall", "machine", set_up=check_firewall),
    Check("backups", "machine", set_up=check_backups),
    Check("containers", "mail", set_up=check_containers),
    Check("ports", "mail", set_up=check_ports),
    Check("round trip", "mail", set_up=check_round_trip),
    Check("certificate", "mail", set_up=check_certificate),
    Check("sending limits", "mail", set_up=check_limits),
    Check("link", "network", check_link),
    Check("addresses", "network", check_addresses),
    Check("gateway", "network", check_gateway, slow=True),
    Check(
        "duplicate address",
        "network",
        set_up=check_duplicate_addresses,
        slow=True,
        when=has_fixed_addresses,
    ),
    Check("resolver", "network", check_resolver, slow=True),
    Check("interception", "network", check_interception, slow=True),
    Check("public address", "network", check_public_address),
    Check("ports in", "network", set_up=check_ports_in, slow=True),
    Check("port 25 out", "network", check_port_25_out, slow=True, outside=True, when=sends_itself),
    Check("relay", "network", set_up=check_relay, slow=True, when=uses_relay),
    Check("reverse DNS", "network", check_reverse_dns, slow=True),
    Check("blocklists", "network", check_blocklists, slow=True, outside=True),
)


def select_checks(
    machine: Bare, groups: Collection[str] = (), *, outside: bool = True
) -> tuple[Check, ...]:
    """Those of the groups (all if none is named) that make sense on this machine."""
    return tuple(
        check
        for check in CHECKS
        if check.suits(machine)
        and (not groups or check.group in groups)
        and (outside or not check.outside)
    )


@dataclass
class _Running:
    """A slow check on its way."""

    check: Check
    done: threading.Event = field(default_factory=threading.Event)
    result: Result | None = None
    error: Exception | None = None


def run_checks(
    machine: Bare, checks: Sequence[Check], *, deadline: float = SLOW_SECONDS
) -> Iterator[Result]:
    """Run checks; results come in their order, each as soon as it and all before it are there.

    Slow ones run beside the others. Those that are not done `deadline` seconds after the beginning
    have failed.
    """
    ends = time.monotonic() + deadline
    running = {check.name: _start(check, machine) for check in checks if check.slow}
    for check in checks:
        slow = running.get(check.name)
        yield _await(slow, ends - time.monotonic(), deadline) if slow else check.run(machine)


def _start(check: Check, machine: Bare) -> _Running:
    running = _Running(check)

    def work() -> None:
        try:
            running.result = check.run(machine)
        except Exception as error:
            # Raised again where the result is asked for.
            running.error = error
        running.done.set()

    # A daemon, since nobody waits for one that is too slow.
    threading.Thread(target=work, name=check.name, daemon=True).start()
    return running


def _await(running: _Running, seconds: float, deadline: float) -> Result:
    running.done.wait(max(0.0, seconds))
    if running.error is not None:
        raise running.error
    if running.result is not None:
        return running.result
    name, group = running.check.name, running.check.group
    measured = f"no result within {deadline:g} s"
    advice = "Look at the network, and try again."
    return Result(name, "fail", measured, "This could not be checked.", advice, group)


def format_result(result: Result, width: int) -> str:
    """A result as text for people, for a console of 80 columns.

    It begins with the state, and the name in `width` columns; all other lines are indented.
    """
    state = result.state if result.state == "pass" else result.state.upper()
    begin = f"{state}  {result.name.ljust(width)}  "
    room = COLUMNS - len(begin)
    texts = (*result.measured.splitlines(), result.why, result.what_to_do)
    lines = [line for text in texts for line in textwrap.wrap(text, room, break_on_hyphens=False)]
    return begin + f"\n{' ' * len(begin)}".join(lines)

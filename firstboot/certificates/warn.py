"""Telling the owner in time that a certificate will end, or does not come."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime

from firstboot.base.notices import leave_notice, send_notices_or_wait
from firstboot.base.renewal import read_renewal, timestamp, write_renewal
from firstboot.certificates.machine import Machine
from firstboot.certificates.renew import installed_facts, show
from firstboot.system.console import Console

# Renewal begins with a third of the life left; with a quarter left something is wrong.
SHARE = 4
# A first certificate may take a while: the DNS records have to be made.
PATIENCE = datetime.timedelta(hours=6)
AGAIN = datetime.timedelta(days=3)


def warning(machine: Machine) -> tuple[str, str] | None:
    """What the owner has to know about the certificate, as subject and text; None if nothing."""
    method, now = machine.settings.tls.method, machine.now()
    if method == "self-signed":
        return None
    record, facts = read_renewal(machine.paths.renewal), installed_facts(machine)
    reason = f"\n\nThe last attempt failed: {record.reason}" if record.failures else ""
    if facts is None:
        begun = record.failing and datetime.datetime.fromisoformat(record.failing)
        if not begun or now - begun < PATIENCE:
            return None
        return (
            "No certificate could be obtained",
            "Mail works with a self-signed certificate, which mail programs warn of. The machine "
            f"goes on trying.{reason}\n\n{_ADVICE[method]}",
        )
    if facts.ends - now > facts.life / SHARE:
        return None
    when = "has ended" if facts.ends <= now else "ends"
    return (
        f"The certificate {when} {show(facts.ends)}",
        f"From then on mail programs refuse to connect, or warn.{reason}\n\n{_ADVICE[method]}",
    )


_ADVICE = {
    "acme": "What is wrong, and whether it is over: mailstead cert status\n"
    "To try again at once: mailstead cert renew",
    "own": "Install a new one: mailstead cert install KEY CHAIN",
}


def warn(machine: Machine, console: Console) -> bool:
    """Tell the owner on the console and by mail, every few days; whether that was done now."""
    found, record = warning(machine), read_renewal(machine.paths.renewal)
    if found is None:
        return False
    now = machine.now()
    if record.warned and abs(now - datetime.datetime.fromisoformat(record.warned)) < AGAIN:
        return False
    subject, text = found
    console.say(f"{subject[0].lower()}{subject[1:]}; mailstead cert status tells more")
    leave_notice(machine.paths, "certificate", subject, f"{text}\n")
    write_renewal(machine.paths.renewal, dataclasses.replace(record, warned=timestamp(now)))
    with contextlib.suppress(OSError):
        send_notices_or_wait(machine.paths)
    return True

"""Checks of what keeps strangers out: the firewall, and the certificate."""

from __future__ import annotations

import datetime

from firstboot.base.firewall import open_ports
from firstboot.base.renewal import Renewal, read_renewal
from firstboot.base.tls import (
    Facts,
    certificate_facts,
    certificate_file,
    current_certificate,
    read_installed,
)
from firstboot.checks.machine import Machine
from firstboot.checks.result import Result
from firstboot.system.nftables import rules_problem

# Renewal by the machine begins with a third of the life left.
SHARE = 4


def check_firewall(machine: Machine) -> Result:
    """The firewall's rules are those that were applied."""
    if problem := rules_problem(machine.paths.firewall):
        return Result(
            "firewall",
            "fail",
            problem,
            "Whatever listens on this machine can be reached from the network.",
            "Apply them again: mailstead firewall",
        )
    ports = [found.port for found in open_ports(machine.settings, machine.stack)]
    return Result("firewall", "pass", f"open: {' '.join(map(str, ports))}")


def check_certificate(machine: Machine) -> Result:
    """The certificate is the one that the settings ask for, and is good for a while."""
    method = machine.settings.tls.method
    facts = certificate_facts(current_certificate(machine.paths.tls, machine.settings).certificate)
    record = read_renewal(machine.paths.renewal) if method == "acme" else Renewal()
    installed = read_installed(
        certificate_file(machine.paths.tls, method), machine.settings.hostname
    )
    waiting = method != "self-signed" and installed is None
    return judge(method, facts, record, datetime.datetime.now(datetime.UTC), waiting=waiting)


def judge(
    method: str, facts: Facts, record: Renewal, now: datetime.datetime, *, waiting: bool
) -> Result:
    """The result for the certificate that is shown; `waiting`: there is none yet of the method."""
    failed = f"; renewal failed {record.failures} times: {record.reason}" if record.failures else ""
    measured = f"{method}, until {facts.ends:%Y-%m-%d}{failed}"
    advice = {
        "self-signed": "It is made anew when the machine is restarted.",
        "acme": "mailstead cert status tells what is wrong; mailstead cert renew tries again.",
        "own": "Install another one: mailstead cert install KEY CHAIN",
    }[method]
    why = "Mail programs warn of such a certificate, or refuse to connect."
    if facts.ends <= now or facts.begins > now:
        measured = f"{method}, not valid now: {facts.begins:%Y-%m-%d} to {facts.ends:%Y-%m-%d}"
        return Result("certificate", "fail", measured + failed, why, advice)
    if waiting:
        measured = f"self-signed, in place of one by {method}{failed}"
        return Result("certificate", "warn", measured, why, advice)
    if facts.ends - now < facts.life / SHARE:
        return Result("certificate", "warn", measured, "It will end soon.", advice)
    if record.failures:
        return Result("certificate", "warn", measured, "It will have to be renewed.", advice)
    return Result("certificate", "pass", measured)

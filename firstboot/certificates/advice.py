"""The authority's advice when to renew (RFC 9773), kept with the record of the attempts."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable

from firstboot.base.errors import MailsteadError
from firstboot.base.renewal import Renewal, share_of, timestamp, write_renewal
from firstboot.base.tls import Facts, read_installed
from firstboot.certificates.machine import Machine


def take_advice(
    machine: Machine,
    record: Renewal,
    facts: Facts,
    now: datetime.datetime,
    report: Callable[[str], None],
) -> Renewal:
    """Ask, and return the record with what was said; it is on disk.

    The time is one within the authority's window, always the same for a certificate. While it does
    not answer, what it said last counts. That nobody asks too often is on disk before it is asked.
    """
    # Dear to import, and not wanted by most runs.
    from firstboot.system.renewalinfo import USUAL, ask_renewal_window  # noqa: PLC0415

    if record.advised_for != facts.fingerprint:
        record = dataclasses.replace(record, advised="", advised_for=facts.fingerprint)
    record = dataclasses.replace(record, ask=timestamp(now + USUAL))
    write_renewal(machine.paths.renewal, record)
    installed = read_installed(machine.installed, machine.settings.hostname)
    if installed is None:
        return record
    try:
        window = ask_renewal_window(
            machine.settings.tls.directory, installed.certificate, machine.trust
        )
    except MailsteadError:
        return record
    advised = ""
    if window is not None:
        then = window.begins + (window.ends - window.begins) * share_of(facts)
        advised = timestamp(then)
        if then <= now and record.advised != advised:
            why = f", see {window.reason}" if window.reason else ""
            report(f"the authority asks for a renewal now{why}")
    again = window.again if window is not None else USUAL
    record = dataclasses.replace(record, advised=advised, ask=timestamp(now + again))
    write_renewal(machine.paths.renewal, record)
    return record

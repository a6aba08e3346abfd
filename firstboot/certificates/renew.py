"""`renew`: a new certificate when it is time, and never more often than the authority likes."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import random
from collections.abc import Callable

from firstboot.base.certificate import Certificate
from firstboot.base.errors import CommandError
from firstboot.base.firewall import CHALLENGE_HTTPS, HTTPS
from firstboot.base.renewal import (
    LONGEST_PAUSE,
    CertificateError,
    Renewal,
    asks,
    due,
    pause,
    read_renewal,
    timestamp,
    waits_until,
    write_renewal,
)
from firstboot.base.tls import Facts, certificate_facts, read_installed, write_installed
from firstboot.certificates.advice import take_advice
from firstboot.certificates.machine import Machine, put_to_use
from firstboot.certificates.names import time_to_look
from firstboot.system.clock import is_synchronized
from firstboot.system.lego import PORTS, SECONDS, AuthorityError, obtain, obtained
from firstboot.system.nftables import diverted, opened

Report = Callable[[str], None]


def renew(machine: Machine, report: Report, *, by_hand: bool = False, force: bool = False) -> bool:
    """Get a new certificate if one is due, and put it to use; whether there is a new one.

    `by_hand` does not wait for the next attempt by itself, except where the authority has set the
    time; `force` renews what is not due. Every decision is one line, reported or raised as
    CertificateError, after which everything is as before.
    """
    if machine.settings.tls.method != "acme":
        raise CertificateError(
            f"there is nothing to renew: tls.method is {machine.settings.tls.method}",
            "Certificates of an authority come with: mailstead settings set tls.method acme",
        )
    now = machine.now()
    refuse_wrong_clock(machine, now)
    if _adopt(machine, now):
        report("took the certificate that was fetched before")
        return True
    facts = installed_facts(machine)
    record = read_renewal(machine.paths.renewal)
    if facts is not None and asks(record, facts, now):
        record = take_advice(machine, record, facts, now, report)
    good = facts is not None and now < due(facts, record) and not force
    further = _further(machine, record, now, good=good, by_hand=by_hand)
    if facts is not None and good and all(facts.covers(name) for name in further):
        report(f"the certificate is good; to be renewed from {show(due(facts, record))} on")
        return False
    until = waits_until(record, now)
    if until is not None and (record.limited or not by_hand):
        raise CertificateError(
            f"no attempt before {show(until)}: {record.reason}",
            "The authority has set this time." if record.limited else "",
        )
    _attempt(machine, record, facts, further, now=now, report=report)
    return True


def _further(
    machine: Machine, before: Renewal, now: datetime.datetime, *, good: bool, by_hand: bool
) -> tuple[str, ...]:
    """The names besides the host's to ask for; looked up now and then while all is good.

    When a renewal that is due has failed, the host's name comes first, and alone.
    """
    if good:
        return machine.further() if by_hand or time_to_look(now) else ()
    return () if before.failures else machine.further()


def refuse_wrong_clock(machine: Machine, now: datetime.datetime) -> None:
    """With a wrong clock no authority can be trusted, and no date means anything."""
    try:
        built = datetime.datetime.fromisoformat(machine.release.built)
    except ValueError:
        return
    if now < built:
        raise CertificateError(
            f"the clock is wrong: it says {show(now)}, and this version was built {show(built)}",
            "Let the machine reach a time server (UDP port 123).",
        )


def installed_facts(machine: Machine) -> Facts | None:
    """The certificate of the settings' method; None while there is none for the host name."""
    found = read_installed(machine.installed, machine.settings.hostname)
    return certificate_facts(found.certificate) if found else None


def _attempt(
    machine: Machine,
    before: Renewal,
    facts: Facts | None,
    further: tuple[str, ...],
    *,
    now: datetime.datetime,
    report: Report,
) -> None:
    """Ask the authority. The attempt is noted as failed before it begins."""
    failures = before.failures + 1
    record = dataclasses.replace(
        before,
        failures=failures,
        failing=before.failing or timestamp(now),
        # Not a secret: so that machines do not come at once.
        next=timestamp(now + pause(failures, facts, random.random())),  # noqa: S311
        reason="the last attempt was cut off",
        limited=False,
    )
    write_renewal(machine.paths.renewal, record)
    report(f"asking {machine.settings.tls.directory} for a certificate …")
    try:
        with answering(machine):
            order = machine.order(further)
            certificate = obtain(order, machine.paths.runtime)
        _require_usable(order.names, certificate, now)
    except AuthorityError as error:
        reason = _with_clock(error)
        write_renewal(machine.paths.renewal, _failed(record, error, str(reason), now))
        raise reason from None
    except (CertificateError, CommandError) as error:
        failed = dataclasses.replace(record, reason=error.message)
        write_renewal(machine.paths.renewal, failed)
        raise
    _take(machine, certificate, report)


def _failed(record: Renewal, error: AuthorityError, reason: str, now: datetime.datetime) -> Renewal:
    """The record of a failure; who is asked to wait waits, a day where no time was named."""
    record = dataclasses.replace(record, reason=reason)
    if error.kind != "rateLimited":
        return record
    until = max(error.retry or now + LONGEST_PAUSE, datetime.datetime.fromisoformat(record.next))
    return dataclasses.replace(record, next=timestamp(until), limited=True)


def _with_clock(error: AuthorityError) -> CertificateError:
    """A clock that nobody has set explains much."""
    if error.kind or is_synchronized():
        return error
    hint = "The clock was not set by a time server (UDP port 123), so it may be wrong."
    return CertificateError(error.message, f"{hint} {error.hint}".strip())


def _adopt(machine: Machine, now: datetime.datetime) -> bool:
    """Put to use what was fetched, and a power cut or a full disk kept from that.

    An authority gives the same certificate a few times a week only.
    """
    found = obtained(machine.order())
    if found is None:
        return False
    facts, current = certificate_facts(found.certificate), installed_facts(machine)
    older = current is not None and facts.begins <= current.begins
    if older or not facts.covers(machine.settings.hostname) or now >= due(facts, Renewal()):
        return False
    _take(machine, found, lambda _line: None)
    return True


def _take(machine: Machine, certificate: Certificate, report: Report) -> None:
    write_installed(machine.installed, certificate)
    write_renewal(machine.paths.renewal, Renewal())
    facts = certificate_facts(certificate.certificate)
    told = put_to_use(machine)
    report(f"new certificate of {facts.issuer}, until {show(facts.ends)}")
    if not told:
        report("services that run will show it when they are started anew")


def _require_usable(
    names: tuple[str, ...], certificate: Certificate, now: datetime.datetime
) -> None:
    facts = certificate_facts(certificate.certificate)
    if missing := [name for name in names if not facts.covers(name)]:
        raise CertificateError(f"the authority's certificate is not for {', '.join(missing)}")
    if facts.ends <= now:
        raise CertificateError(f"the authority's certificate has ended {show(facts.ends)}")


def answering(machine: Machine) -> contextlib.AbstractContextManager[None]:
    """Let the authority reach whoever answers its challenge: lego, while it runs.

    443 belongs to a service of the stack, and is lego's for as long as that takes.
    """
    port = PORTS.get(machine.settings.tls.challenge)
    if port == HTTPS:
        return diverted(HTTPS, CHALLENGE_HTTPS, int(SECONDS))
    return opened(port, int(SECONDS)) if port else contextlib.nullcontext()


def show(moment: datetime.datetime) -> str:
    """A time as people read it."""
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"

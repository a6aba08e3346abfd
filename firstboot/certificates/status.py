"""`mailstead cert status`: which certificate the services show, and what becomes of it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from typing_extensions import TypedDict

from firstboot.base.renewal import due, read_renewal, waits_until
from firstboot.base.tls import Facts
from firstboot.certificates.machine import Machine
from firstboot.certificates.renew import installed_facts, show


class CertificateJson(TypedDict):
    """The certificate that the services show. Times are RFC 3339 in UTC."""

    method: str
    waiting: bool
    names: list[str]
    issuer: str
    begins: str
    ends: str
    days_left: float
    sha256: str
    due: str | None
    next_attempt: str | None
    failures: int
    reason: str | None


@dataclass(frozen=True)
class CertificateStatus:
    """The certificate that is shown. `waiting`: there is none yet of the settings' `method`.

    `due` is when it will be renewed, `next` when an attempt that failed is made again, `reason` why
    it failed; None where that does not apply.
    """

    method: str
    waiting: bool
    facts: Facts
    days_left: float
    due: datetime.datetime | None
    next: datetime.datetime | None
    failures: int
    reason: str

    def as_json(self) -> CertificateJson:
        return {
            "method": self.method,
            "waiting": self.waiting,
            "names": list(self.facts.names),
            "issuer": self.facts.issuer,
            "begins": self.facts.begins.isoformat(),
            "ends": self.facts.ends.isoformat(),
            "days_left": self.days_left,
            "sha256": self.facts.fingerprint,
            "due": self.due.isoformat() if self.due else None,
            "next_attempt": self.next.isoformat() if self.next else None,
            "failures": self.failures,
            "reason": self.reason or None,
        }

    def rows(self) -> list[tuple[str, str]]:
        """For people: what, and what it is."""
        found = [
            ("certificate", self._kind()),
            ("for", ", ".join(self.facts.names)),
            ("signed by", self.facts.issuer),
            ("valid", f"{show(self.facts.begins)} to {show(self.facts.ends)}"),
            ("", f"{self.days_left:.0f} days left" if self.days_left > 0 else "IT HAS ENDED"),
            ("SHA-256", self.facts.fingerprint),
        ]
        if self.due is not None:
            found.append(("to be renewed", f"from {show(self.due)} on"))
        if self.failures:
            found.append(("failed", f"{self.failures} times; the last: {self.reason}"))
            if self.next is not None:
                found.append(("next attempt", f"from {show(self.next)} on"))
        return found

    def _kind(self) -> str:
        if not self.waiting:
            return self.method
        what = "install one" if self.method == "own" else "one is on its way"
        return f"self-signed, until there is one of the method {self.method} ({what})"


def read_certificate_status(machine: Machine) -> CertificateStatus:
    """Look at the certificate and at the record of its renewal."""
    now, facts = machine.now(), machine.shown()
    method = machine.settings.tls.method
    installed = None if method == "self-signed" else installed_facts(machine)
    record = read_renewal(machine.paths.renewal)
    acme = method == "acme"
    return CertificateStatus(
        method=method,
        waiting=method != "self-signed" and installed is None,
        facts=facts,
        days_left=round((facts.ends - now) / datetime.timedelta(days=1), 1),
        due=due(installed, record) if acme and installed else None,
        next=waits_until(record, now) if acme else None,
        failures=record.failures if acme else 0,
        reason=record.reason if acme else "",
    )

"""Which names a certificate is asked for besides the host's."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping

import pytest

from firstboot.base.renewal import CertificateError
from firstboot.certificates.machine import Machine
from firstboot.certificates.names import names_that_lead_here, time_to_look
from firstboot.certificates.renew import installed_facts, renew
from firstboot.system.dnsclient import Answer, NoAnswerError
from tests.unit.firstboot.certificates.authority import Authority
from tests.unit.firstboot.certificates.conftest import HOSTNAME, Clock, of_authority

AUTOCONFIG, POLICY = "autoconfig.example.com", "mta-sts.example.com"
NOON = datetime.datetime(2026, 5, 1, 12, 3, tzinfo=datetime.UTC)


def dns(records: Mapping[tuple[str, str], str], name: str, kind: str) -> Answer:
    """A DNS with these records; `silent.example.com` is not answered for."""
    if name.startswith("silent."):
        raise NoAnswerError("nobody is there")
    found = records.get((name, kind))
    return Answer((found,) if found else (), bool(found), 60, True, False, "", None)


def test_only_names_that_lead_here_are_asked_for() -> None:
    records = {
        (HOSTNAME, "A"): "192.0.2.10",
        ("alias.example.com", "CNAME"): HOSTNAME,
        ("same.example.com", "A"): "192.0.2.10",
        ("other.example.com", "A"): "192.0.2.99",
        ("elsewhere.example.com", "CNAME"): "host.example.net",
    }
    labels = ("alias", "same", "other", "elsewhere", "nowhere", "silent")
    names = [f"{label}.example.com" for label in labels]
    found = names_that_lead_here(names, HOSTNAME, lambda name, kind: dns(records, name, kind))
    assert found == ("alias.example.com", "same.example.com")


def test_the_timer_looks_for_names_four_times_a_day() -> None:
    runs = [NOON + datetime.timedelta(minutes=15 * number) for number in range(96)]
    assert sum(map(time_to_look, runs)) == 4


def test_a_name_that_is_new_gets_a_certificate_at_once(
    machine: Machine, authority: Authority, clock: Clock
) -> None:
    names: tuple[str, ...] = ()
    found = of_authority(machine, authority)
    found = dataclasses.replace(found, further=lambda: names)
    assert renew(found, print)
    facts = installed_facts(found)
    assert facts is not None
    assert facts.names == (HOSTNAME,)
    assert not renew(found, print, by_hand=True)
    names = (AUTOCONFIG, POLICY)
    assert renew(found, print, by_hand=True)
    facts = installed_facts(found)
    assert facts is not None
    assert set(facts.names) == {HOSTNAME, AUTOCONFIG, POLICY}
    assert not renew(found, print, by_hand=True)
    assert not renew(found, print, by_hand=True)


def test_a_name_that_cannot_be_had_does_not_keep_the_hosts_from_its_certificate(
    machine: Machine, authority: Authority
) -> None:
    found = of_authority(machine, authority)
    asked: list[tuple[str, ...]] = []

    def further() -> tuple[str, ...]:
        asked.append(("not_a_name.example.com",))
        return asked[-1]

    found = dataclasses.replace(found, further=further)
    with pytest.raises(CertificateError):
        renew(found, print)
    assert renew(found, print, by_hand=True)
    facts = installed_facts(found)
    assert facts is not None
    assert (facts.names, len(asked)) == ((HOSTNAME,), 1)

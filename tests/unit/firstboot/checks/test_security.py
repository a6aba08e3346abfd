"""The checks of what keeps strangers out."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest

from firstboot.base.renewal import Renewal
from firstboot.base.tls import Facts
from firstboot.checks.machine import Machine
from firstboot.checks.result import Result
from firstboot.checks.security import check_certificate, check_firewall, judge
from tests.unit.firstboot.conftest import FakePrograms


def test_firewall_check(set_up: Callable[..., Machine], programs: FakePrograms) -> None:
    machine = set_up()
    programs.add("nft", "echo rules")
    assert check_firewall(machine).measured == "they were not applied"
    machine.paths.runtime.mkdir(exist_ok=True, parents=True)
    machine.paths.firewall.write_text("rules\n")
    assert check_firewall(machine) == Result("firewall", "pass", "open: 587 993")
    programs.add("nft", "exit 1")
    result = check_firewall(machine)
    assert (result.state, result.measured) == ("fail", "they are gone")
    assert result.what_to_do


def test_certificate_check(set_up: Callable[..., Machine]) -> None:
    assert check_certificate(set_up()).state == "pass"
    result = check_certificate(set_up(more="tls: {method: own}\n"))
    assert (result.state, result.measured) == ("warn", "self-signed, in place of one by own")


@pytest.mark.parametrize(
    ("days", "failures", "state", "measured"),
    [
        (0, 0, "pass", "acme, until 2027-02-22"),
        (65, 0, "pass", "acme, until 2027-02-22"),
        (65, 2, "warn", "acme, until 2027-02-22; renewal failed 2 times: no route"),
        (70, 0, "warn", "acme, until 2027-02-22"),
        (91, 0, "fail", "acme, not valid now: 2026-11-24 to 2027-02-22"),
        (-1, 0, "fail", "acme, not valid now: 2026-11-24 to 2027-02-22"),
    ],
)
def test_certificate_as_its_life_goes_on(
    days: int, failures: int, state: str, measured: str
) -> None:
    begins = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)
    end = begins + datetime.timedelta(days=90)
    facts = Facts(("mail.example.com",), "CN=A", begins, end, "00")
    record = Renewal(failures, reason="no route" if failures else "")
    now = begins + datetime.timedelta(days=days)
    result = judge("acme", facts, record, now, waiting=False)
    assert (result.state, result.measured) == (state, measured)
    assert bool(result.what_to_do) == (state != "pass")

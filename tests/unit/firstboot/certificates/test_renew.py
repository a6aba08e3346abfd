"""Certificates from a real authority, its failures, and that it is never asked too often."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
from pathlib import Path

import pytest

from firstboot.base.certificate import make_certificate
from firstboot.base.renewal import CertificateError, Renewal, due, read_renewal, write_renewal
from firstboot.base.tls import certificate_facts, join_pem, write_installed
from firstboot.certificates.machine import Machine
from firstboot.certificates.renew import installed_facts, renew
from firstboot.system.lego import AuthorityError
from tests.unit.firstboot.certificates.authority import Authority, running_authority
from tests.unit.firstboot.certificates.conftest import (
    HOSTNAME,
    Clock,
    FakeEngine,
    mounted,
    of_authority,
)
from tests.unit.firstboot.conftest import FakePrograms

MINUTE, DAY = datetime.timedelta(minutes=1), datetime.timedelta(days=1)


def attempt(machine: Machine, *, by_hand: bool = False, force: bool = False) -> tuple[bool, str]:
    """Whether there is a new certificate, and the last line that was said."""
    lines: list[str] = []
    return renew(machine, lines.append, by_hand=by_hand, force=force), lines[-1]


def orders(authority: Authority) -> int:
    return authority.requests.count("/order-plz")


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_a_certificate_is_fetched_and_put_to_use(
    machine: Machine,
    authority: Authority,
    engine: FakeEngine,
    programs: FakePrograms,
    challenge: str,
) -> None:
    found = of_authority(machine, authority, challenge)
    renewed, said = attempt(found)
    assert renewed
    facts = installed_facts(found)
    assert facts is not None
    assert (facts.names, "Pebble" in facts.issuer) == ((HOSTNAME,), True)
    assert said.startswith(f"new certificate of {facts.issuer}")
    assert mounted(found.paths).read_bytes() == found.installed.read_bytes()
    assert mounted(found.paths).read_bytes().count(b"BEGIN CERTIFICATE") == 2
    seen = found.paths.certificate.read_bytes()
    assert certificate_facts(seen) == facts
    assert seen.count(b"BEGIN CERTIFICATE") == 1
    assert engine.told == [("mta", ("postfix", "reload"))]
    assert read_renewal(found.paths.renewal) == Renewal()
    # 443 is a container's, so that lego answers elsewhere.
    name, key, added = {
        "http-01": ("passing", "80", "80 timeout 900s"),
        "tls-alpn-01": ("diverted", "443", "443 timeout 900s : 8444"),
    }[challenge]
    assert [call for call in programs.calls if call[0] == "nft"] == [
        ["nft", "add", "element", "inet", "mailstead", name, f"{{ {added} }}"],
        ["nft", "delete", "element", "inet", "mailstead", name, f"{{ {key} }}"],
    ]


def test_bad_nonces_are_got_over(machine: Machine, tmp_path: Path) -> None:
    """RFC 8555, 6.5: whoever gets badNonce tries again with the nonce that came with it."""
    with running_authority(tmp_path, bad_nonces=20) as authority:
        found = of_authority(machine, authority)
        for _ in range(20):  # one in five goes without
            authority.requests.clear()
            assert attempt(found, by_hand=True, force=True)[0] is True
            if len(authority.requests) > 10:
                return
    raise AssertionError("no nonce was refused")


def test_it_is_renewed_when_a_third_of_its_life_is_left(
    machine: Machine, authority: Authority, clock: Clock
) -> None:
    found = of_authority(machine, authority)
    attempt(found)
    first = installed_facts(found)
    assert first is not None
    assert attempt(found)[0] is False
    assert attempt(found, by_hand=True)[0] is False
    clock.ahead = due(first, Renewal()) - clock() - MINUTE
    assert attempt(found)[0] is False
    assert orders(authority) == 1
    clock.ahead += 2 * MINUTE
    assert attempt(found)[0] is True
    second = installed_facts(found)
    assert second is not None
    assert second.fingerprint != first.fingerprint


def test_it_can_be_renewed_before(machine: Machine, authority: Authority) -> None:
    found = of_authority(machine, authority)
    attempt(found)
    assert attempt(found, by_hand=True, force=True)[0] is True
    assert orders(authority) == 2


def test_a_failed_challenge_is_told_and_tried_ever_more_seldom(
    machine: Machine, authority: Authority, clock: Clock
) -> None:
    found = dataclasses.replace(of_authority(machine, authority), listen="127.0.0.1:0")
    before = mounted(found.paths).read_bytes()
    pauses = []
    for number in range(1, 4):
        begun = clock()
        with pytest.raises(AuthorityError, match=r"refuses \(connection\)") as caught:
            attempt(found)
        assert "mailstead dns check" in caught.value.hint
        record = read_renewal(found.paths.renewal)
        assert (record.failures, record.limited) == (number, False)
        assert record.reason == caught.value.message
        # Counted from somewhere in the attempt, which may take long.
        then = datetime.datetime.fromisoformat(record.next)
        wait = then - clock()
        pauses.append(((then - begun) / MINUTE, wait / MINUTE))
        with pytest.raises(CertificateError, match="no attempt before"):
            attempt(found)
        clock.ahead += wait + MINUTE
    for (longest, shortest), least, most in zip(pauses, (15, 30, 60), (17, 34, 67), strict=True):
        assert longest > least
        assert shortest < most
    assert orders(authority) == 3
    # The owner has mended it and does not want to wait.
    clock.ahead -= 30 * MINUTE
    assert attempt(of_authority(machine, authority), by_hand=True)[0] is True
    assert mounted(found.paths).read_bytes() != before


def test_an_authority_that_is_away_changes_nothing(
    machine: Machine, authority: Authority, clock: Clock, engine: FakeEngine
) -> None:
    found = of_authority(machine, authority)
    attempt(found)
    engine.told.clear()
    facts = installed_facts(found)
    assert facts is not None
    clock.ahead = due(facts, Renewal()) - clock() + MINUTE
    authority.down = True
    with pytest.raises(CertificateError, match="could not be asked"):
        attempt(found)
    assert installed_facts(found) == facts
    assert certificate_facts(mounted(found.paths).read_bytes()) == facts
    assert engine.told == []
    authority.down = False
    clock.ahead += 20 * MINUTE
    assert attempt(found)[0] is True


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("too many new orders recently", 24.0),
        ("too many certificates already issued, retry after {}: see the documentation", 60.0),
    ],
)
def test_a_limit_of_the_authority_is_respected_also_by_hand(
    machine: Machine, authority: Authority, clock: Clock, text: str, hours: float
) -> None:
    found = of_authority(machine, authority)
    until = clock() + datetime.timedelta(hours=60)
    detail = text.format(f"{until:%Y-%m-%d %H:%M:%S} UTC")
    problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": detail}
    authority.refusal = (429, problem)
    with pytest.raises(AuthorityError, match=r"refuses \(rateLimited\): too many"):
        attempt(found)
    asked = len(authority.requests)
    authority.refusal = None
    for by_hand in (False, True):
        with pytest.raises(CertificateError, match="no attempt before") as caught:
            attempt(found, by_hand=by_hand)
        assert caught.value.hint == "The authority has set this time."
    clock.ahead = datetime.timedelta(hours=hours - 0.1)
    with pytest.raises(CertificateError, match="no attempt before"):
        attempt(found)
    assert len(authority.requests) == asked
    clock.ahead = datetime.timedelta(hours=hours + 0.1)
    assert attempt(found)[0] is True


def test_a_power_cut_counts_as_a_failure(
    machine: Machine, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a machine that restarts again and again would ask each time."""
    found = of_authority(machine, authority)

    def cut(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("firstboot.certificates.renew.obtain", cut)
    with pytest.raises(KeyboardInterrupt):
        attempt(found)
    with pytest.raises(CertificateError, match=r"no attempt before .*: the last attempt was cut"):
        attempt(found)


def test_what_was_fetched_before_a_power_cut_is_not_fetched_again(
    machine: Machine, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = of_authority(machine, authority)

    def cut(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("firstboot.certificates.renew.write_installed", cut)
        with pytest.raises(KeyboardInterrupt):
            attempt(found)
    assert installed_facts(found) is None
    assert attempt(found) == (True, "took the certificate that was fetched before")
    assert installed_facts(found) is not None
    assert orders(authority) == 1
    assert attempt(found)[0] is False


@pytest.mark.parametrize("damage", ["gone", "half", "unknown", "no key"])
def test_a_lost_account_is_replaced(machine: Machine, authority: Authority, damage: str) -> None:
    found = of_authority(machine, authority)
    attempt(found)
    (account,) = (found.paths.tls / "lego").glob("accounts/*/*/account.json")
    match damage:
        case "gone":
            shutil.rmtree(account.parents[1])
        case "half":
            account.write_bytes(account.read_bytes()[:40])
        case "no key":
            shutil.rmtree(account.parent / "keys")
        case "unknown":
            # As with an authority that has forgotten it.
            account.write_text(account.read_text().replace("/my-account/", "/my-account/0"))
    assert attempt(found, by_hand=True, force=True)[0] is True


def test_a_wrong_clock_is_told_before_anybody_is_asked(
    machine: Machine, authority: Authority, clock: Clock
) -> None:
    clock.ahead = datetime.timedelta(days=-3650)
    with pytest.raises(CertificateError, match="the clock is wrong: it says 20") as caught:
        attempt(of_authority(machine, authority))
    assert "time server" in caught.value.hint
    assert authority.requests == []
    assert read_renewal(machine.paths.renewal) == Renewal()


def test_a_time_from_a_wrong_clock_does_not_hold_it_up(
    machine: Machine, authority: Authority, clock: Clock
) -> None:
    far = (clock() + 300 * DAY).isoformat()
    write_renewal(machine.paths.renewal, Renewal(3, far, far, "x", limited=True))
    assert attempt(of_authority(machine, authority))[0] is True


def test_another_host_name_needs_another_certificate(
    machine: Machine, authority: Authority
) -> None:
    found = of_authority(machine, authority)
    other = make_certificate("old.example.com", now=datetime.datetime.now(datetime.UTC))
    write_installed(found.installed, other)
    assert installed_facts(found) is None
    assert found.shown().issuer == "itself"
    assert attempt(found)[0] is True
    assert found.installed.read_bytes() != join_pem(other)


def test_only_an_authority_renews(machine: Machine) -> None:
    with pytest.raises(CertificateError, match=r"tls\.method is self-signed") as caught:
        attempt(machine)
    assert "mailstead settings set tls.method acme" in caught.value.hint

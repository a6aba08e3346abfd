"""An authority that says when it wants a renewal (RFC 9773) is heard, and not asked too often."""

from __future__ import annotations

import datetime

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firstboot.base.renewal import Renewal, due, read_renewal, write_renewal
from firstboot.base.tls import Facts
from firstboot.certificates.machine import Machine
from firstboot.certificates.renew import installed_facts, renew
from firstboot.certificates.status import read_certificate_status
from firstboot.system.renewalinfo import RenewalInfoError, ask_renewal_window, certificate_number
from tests.unit.firstboot.certificates.authority import ADVICE, SECONDS, Authority
from tests.unit.firstboot.certificates.conftest import Clock, of_authority

HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
WHY = "https://example.com/why"


def advise(
    authority: Authority, begins: datetime.datetime, ends: datetime.datetime, **headers: str
) -> None:
    window = {"start": begins.isoformat(), "end": ends.isoformat()}
    authority.advice = ({"suggestedWindow": window, "explanationURL": WHY}, headers)


def attempt(machine: Machine) -> tuple[bool, list[str]]:
    lines: list[str] = []
    return renew(machine, lines.append), lines


def advice_asked(authority: Authority) -> list[str]:
    return [path for path in authority.requests if path.startswith(ADVICE)]


def installed(machine: Machine) -> Facts:
    found = installed_facts(machine)
    assert found is not None
    return found


def test_it_is_renewed_early_when_the_authority_asks_for_it(
    machine: Machine, authority: Authority, clock: Clock
) -> None:
    found = of_authority(machine, authority)
    attempt(found)
    first = installed(found)
    advise(authority, clock() - HOUR, clock() - HOUR / 2, **{"Retry-After": "21600"})
    renewed, lines = attempt(found)
    assert renewed
    assert lines[0] == f"the authority asks for a renewal now, see {WHY}"
    assert installed(found).fingerprint != first.fingerprint
    number = certificate_number(found.installed.read_bytes())
    assert advice_asked(authority)[0] != f"{ADVICE}/{number}"
    # It asks for the new one under its own number, and the record is that of the new one.
    authority.requests.clear()
    advise(authority, clock() + DAY, clock() + 2 * DAY)
    assert attempt(found)[0] is False
    assert advice_asked(authority) == [f"{ADVICE}/{number}"]
    assert read_renewal(found.paths.renewal).advised_for == installed(found).fingerprint


def test_advice_is_shown_and_asked_for_as_often_as_the_authority_likes(
    machine: Machine, authority: Authority, clock: Clock
) -> None:
    found = of_authority(machine, authority)
    attempt(found)
    begins, ends = clock() + DAY, clock() + 3 * DAY
    advise(authority, begins, ends, **{"Retry-After": "7200"})
    for _ in range(3):
        assert attempt(found)[0] is False
    assert len(advice_asked(authority)) == 1
    wanted = read_certificate_status(found).due
    assert wanted is not None
    assert begins <= wanted <= ends
    clock.ahead += 2 * HOUR + HOUR / 10
    attempt(found)
    assert len(advice_asked(authority)) == 2
    # The same certificate keeps to its time.
    assert read_certificate_status(found).due == wanted
    clock.ahead += wanted - clock() + HOUR
    assert attempt(found)[0] is True


def test_an_authority_that_does_not_say_is_asked_seldom_and_what_it_said_counts(
    machine: Machine, authority: Authority, clock: Clock
) -> None:
    found = of_authority(machine, authority)
    attempt(found)
    advise(authority, clock() + DAY, clock() + 2 * DAY, **{"Retry-After": "60"})
    attempt(found)
    wanted = read_certificate_status(found).due
    authority.down = True
    clock.ahead += HOUR
    authority.requests.clear()
    for _ in range(4):
        assert attempt(found)[0] is False
    assert len(authority.requests) == 1
    assert read_certificate_status(found).due == wanted
    authority.down, authority.advice = False, ("nonsense", {})
    clock.ahead += 7 * HOUR
    assert attempt(found)[0] is False
    assert read_certificate_status(found).due == wanted
    # It does not give advice any more: two thirds of the life count again.
    authority.advice = None
    clock.ahead += 7 * HOUR
    attempt(found)
    assert read_certificate_status(found).due == due(installed(found), Renewal())


def test_a_failed_attempt_keeps_the_advice(
    machine: Machine, authority: Authority, clock: Clock
) -> None:
    found = of_authority(machine, authority)
    attempt(found)
    advise(authority, clock() - HOUR, clock(), **{"Retry-After": "86400"})
    authority.refusal = (500, {"type": "urn:ietf:params:acme:error:serverInternal", "detail": "x"})
    with pytest.raises(Exception, match="serverInternal"):
        attempt(found)
    record = read_renewal(found.paths.renewal)
    assert (record.failures, record.advised_for) == (1, installed(found).fingerprint)
    assert read_certificate_status(found).due == datetime.datetime.fromisoformat(record.advised)
    clock.ahead += HOUR
    with pytest.raises(Exception, match="serverInternal"):
        attempt(found)
    assert len(advice_asked(authority)) == 1


def test_advice_never_takes_the_time_that_failures_need(machine: Machine, clock: Clock) -> None:
    now = clock().replace(microsecond=0)
    facts = Facts((), "x", now, now + 80 * DAY, "ab" * 32)
    late = Renewal(advised=(now + 79 * DAY).isoformat(), advised_for=facts.fingerprint)
    assert due(facts, late) == facts.begins + 60 * DAY
    other = Renewal(advised=late.advised, advised_for="cd" * 32)
    assert due(facts, other) == due(facts, Renewal())
    write_renewal(machine.paths.renewal, late)
    assert read_renewal(machine.paths.renewal) == late


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"suggestedWindow": {"start": "2030-01-02T00:00:00Z", "end": "2030-01-01T00:00:00Z"}},
        {"suggestedWindow": {"start": "soon", "end": "later"}},
        {"suggestedWindow": ["2030-01-01T00:00:00Z"]},
    ],
    ids=["empty", "backwards", "words", "list"],
)
def test_what_is_no_window(machine: Machine, authority: Authority, document: object) -> None:
    found = of_authority(machine, authority)
    attempt(found)
    authority.advice = (document, {})
    with pytest.raises(RenewalInfoError, match="gives no window"):
        ask_renewal_window(authority.directory, found.installed.read_bytes(), authority.trust)


def test_the_number_of_a_certificate_is_as_in_the_standard() -> None:
    """The example of RFC 9773, 4.1."""
    key = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    assert certificate_number(_made(key)) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
    assert certificate_number(_made(None)) is None


def _made(issuer: bytes | None) -> bytes:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, private.public_key(), 0x87654321, day, day + DAY)
    if issuer is not None:
        extension = x509.AuthorityKeyIdentifier(issuer, None, None)
        builder = builder.add_extension(extension, critical=False)
    made = builder.sign(private, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def test_the_advice_of_pebble(machine: Machine, authority: Authority) -> None:
    """It gives some from its version 2.6 on; one before that is heard to give none."""
    authority.own_advice = True
    found = of_authority(machine, authority)
    attempt(found)
    pem = found.installed.read_bytes()
    offered = requests.get(authority.directory, verify=str(authority.trust), timeout=SECONDS).json()
    window = ask_renewal_window(authority.directory, pem, authority.trust)
    if "renewalInfo" not in offered:
        assert window is None
        return
    assert window is not None
    facts = installed(found)
    assert facts.begins < window.begins < window.ends < facts.ends

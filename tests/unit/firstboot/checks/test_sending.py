"""Whether mail gets out: other mail servers, or a smart host, on the loopback."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firstboot.base.certificate import ensure_certificate
from firstboot.base.roundtrip import trusting
from firstboot.checks import sending
from firstboot.checks.check import select_checks
from firstboot.checks.machine import Bare, Machine
from firstboot.checks.result import Result
from firstboot.checks.targets import MailTarget
from tests.unit.firstboot.checks.greeter import greeter
from tests.unit.firstboot.mailserver import MailServer, mail_server
from tests.unit.firstboot.ports import free_port

Make = Callable[..., Bare]
SetUp = Callable[..., Machine]
TARGETS = (MailTarget("127.0.0.1", "mx.example.net"), MailTarget("localhost", "mx.example.net"))
HOST, LOGIN = "smtp.example.net", ("ada", "sesame open")


def test_mail_gets_out(bare: Make) -> None:
    with greeter(b"220 mx.example.net ESMTP ready\r\n") as port:
        result = sending.check_port_25_out(bare(smtp=port, mail_targets=TARGETS))
    assert (result.state, result.measured) == ("pass", "2 of 2 mail servers answer")


def test_one_target_that_is_down_tells_nothing(bare: Make) -> None:
    targets = (*TARGETS, MailTarget("nowhere.invalid", "x"))
    with greeter(b"220 mx.example.net ESMTP ready\r\n") as port:
        result = sending.check_port_25_out(bare(smtp=port, mail_targets=targets))
    assert (result.state, result.measured) == ("pass", "2 of 3 mail servers answer")


def test_port_25_is_closed(bare: Make) -> None:
    port = free_port("127.0.0.1")
    result = sending.check_port_25_out(bare(smtp=port, mail_targets=TARGETS[:1]))
    assert (result.state, result.measured) == ("fail", "127.0.0.1: Connection refused")
    assert "provider" in result.what_to_do
    assert "relay.host" in result.what_to_do


def test_port_25_that_swallows_everything(bare: Make) -> None:
    with greeter(b"") as port:
        machine = bare(smtp=port, mail_targets=TARGETS[:1], timeout=0.5)
        result = sending.check_port_25_out(machine)
    assert (result.state, result.measured) == ("fail", "127.0.0.1 did not answer within 0.5 s")


@pytest.mark.parametrize("line", [b"220 filter.provider.example\r\n", b"554 mx.example.net no\r\n"])
def test_somebody_answers_in_their_place(bare: Make, line: bytes) -> None:
    with greeter(line) as port:
        result = sending.check_port_25_out(bare(smtp=port, mail_targets=TARGETS[:1]))
    assert result.state == "fail"
    assert "in the place of 127.0.0.1 answers" in result.measured


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with certificate.pem and key.pem of the smart host."""
    made = ensure_certificate(tmp_path / "relay", HOST)
    assert made
    return tmp_path / "relay"


@pytest.fixture
def relay(keys: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A smart host, which every connection leads to."""
    with mail_server(keys, *LOGIN) as server:
        connect = socket.create_connection

        def to_loopback(address: tuple[str, int], *more: object) -> socket.socket:
            assert address[0] == HOST
            return connect(("127.0.0.1", address[1]), *more)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "create_connection", to_loopback)
        yield server


def check(set_up: SetUp, port: int, keys: Path | None, more: str = "") -> Result:
    def trust() -> ssl.SSLContext:
        return trusting(keys / "certificate.pem") if keys else ssl.create_default_context()

    text = f"relay: {{host: {HOST}, port: {port}{more}}}\n"
    return sending.check_relay(set_up(more=text, trust=trust))


def login(name: str, password: str) -> str:
    return f", username: {name}, password: {password}"


def test_a_relay_takes_the_place_of_port_25(bare: Make, set_up: SetUp) -> None:
    with_relay = set_up(more=f"relay: {{host: {HOST}}}\n")
    for machine, outside, found in (
        (bare(), True, {"port 25 out"}),
        (set_up(), True, {"port 25 out"}),
        (set_up(), False, set()),
        (with_relay, True, {"relay"}),
        # Whom the owner has chosen is asked.
        (with_relay, False, {"relay"}),
    ):
        chosen = {one.name for one in select_checks(machine, outside=outside)}
        assert chosen & {"port 25 out", "relay"} == found


def test_a_relay_that_takes_the_login(set_up: SetUp, relay: MailServer, keys: Path) -> None:
    result = check(set_up, relay.submission, keys, login(*LOGIN))
    assert result.state == "pass"
    assert result.measured == f"{HOST}:{relay.submission} takes the login of ada"
    result = check(set_up, relay.submission, keys)
    assert result.state == "pass"
    assert result.measured == f"{HOST}:{relay.submission} answers, without login"
    assert relay.inbox == {}


def test_a_relay_that_refuses_the_login(set_up: SetUp, relay: MailServer, keys: Path) -> None:
    result = check(set_up, relay.submission, keys, login("ada", "wrong1234"))
    assert result.state == "fail"
    assert "does not take the login of ada: 535 no" in result.measured
    assert "relay.password" in result.what_to_do
    assert "wrong1234" not in repr(result)


def test_a_relay_that_is_somebody_else(set_up: SetUp, relay: MailServer) -> None:
    """No login is told to it."""
    result = check(set_up, relay.submission, None, login(*LOGIN))
    assert result.state == "fail"
    assert "its certificate: self-signed certificate" in result.measured


def test_a_relay_with_tls_from_the_first_byte(set_up: SetUp, relay: MailServer, keys: Path) -> None:
    """What answers in plain text there is no such server."""
    result = check(set_up, relay.submission, keys, ", tls: implicit")
    assert (result.state, "relay.tls" in result.what_to_do) == ("fail", True)


def test_a_relay_that_does_not_encrypt(set_up: SetUp, relay: MailServer, keys: Path) -> None:
    with greeter(b"220 x ESMTP\r\n250 x\r\n") as port:
        result = check(set_up, port, keys, login(*LOGIN))
    assert result.state == "fail"
    assert "does not encrypt: STARTTLS" in result.measured


def test_a_relay_that_is_not_there(set_up: SetUp, relay: MailServer, keys: Path) -> None:
    result = check(set_up, free_port("127.0.0.1"), keys)
    assert result.state == "fail"
    assert "Connection refused" in result.measured

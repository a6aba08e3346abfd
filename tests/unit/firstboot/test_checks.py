"""Status, checks and the round trip, against a small mail server and a faked engine."""

from __future__ import annotations

import dataclasses
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firstboot.base import health
from firstboot.base.canary import canary_account
from firstboot.base.certificate import ensure_certificate
from firstboot.base.engine import Container
from firstboot.base.errors import EngineError, RoundTripError, SettingsError, UnreachableError
from firstboot.base.memory import Memory
from firstboot.base.paths import Paths
from firstboot.base.roundtrip import make_message, message_difference, round_trip
from firstboot.base.services import Port
from firstboot.checks import check, hardware, mail, status
from firstboot.checks.machine import Machine, read_machine
from firstboot.checks.result import Result
from firstboot.system.disk import Disk
from firstboot.system.probe import port_problem
from firstboot.system.sockets import Listener
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.mailserver import TRACE, MailServer, mail_server
from tests.unit.firstboot.ports import free_port
from tests.unit.firstboot.samples import RELEASE, SERVICES, SETTINGS, digest, show_certificate

HOSTNAME = "mail.example.com"
PASSWORD = "0" * 64
MIB, GIB = 1 << 20, 1 << 30


class FakeEngine:
    """The two services of the sample, both well, and anything a test adds."""

    def __init__(self) -> None:
        self.found = [
            Container("1", "mta", "", digest("c"), "running", "172.18.0.2", 0, 0),
            Container("2", "redis", "", digest("b"), "running", "172.18.0.2", 0, 1),
        ]
        self.down = False

    def containers(self, _project: str | None = None) -> tuple[Container, ...]:
        if self.down:
            raise EngineError("Docker at unix:///x failed", "Is the Docker engine running?")
        return tuple(self.found)

    def memory(self, container: Container) -> int:
        if container.service == "redis":
            raise EngineError("gone")
        return 20 * MIB


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Its containers answer whoever asks whether they are well."""
    monkeypatch.setattr(health, "answer_problem", lambda _host, _exchange: None)
    return FakeEngine()


@pytest.fixture
def server(paths: Paths) -> Iterator[MailServer]:
    """A server with the machine's certificate, whose ports are the declared ones."""
    show_certificate(paths)
    with mail_server(paths.state / "tls", f"canary@{HOSTNAME}", PASSWORD) as running:
        yield running


@pytest.fixture
def machine(paths: Paths, server: MailServer, engine: FakeEngine) -> Machine:
    services = SERVICES.replace("published: 587", f"published: {server.submission}")
    services = services.replace("published: 993", f"published: {server.imaps}")
    paths.services.write_text(services)
    paths.settings.write_text(SETTINGS)
    (paths.state / "secrets").mkdir()
    (paths.state / "secrets/canary_password").write_text(PASSWORD)
    return read_machine(paths, engine)  # type: ignore[arg-type]


def test_round_trip(machine: Machine, server: MailServer) -> None:
    server.store(b"Subject: an older message\r\n\r\n")
    done = round_trip(canary_account(machine.paths, machine.settings, machine.stack))
    assert done.bytes > 1000
    assert done.seconds >= done.delivery_seconds >= 0
    assert list(server.inbox) == [1]


def test_round_trip_ignores_other_messages(machine: Machine, server: MailServer) -> None:
    def with_company(message: bytes) -> bytes:
        server.store(b"Subject: another\r\n\r\n")
        return TRACE + message

    server.spoil = with_company
    round_trip(canary_account(machine.paths, machine.settings, machine.stack))
    assert list(server.inbox.values()) == [b"Subject: another\r\n\r\n"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda sent: TRACE + sent + b"\r\n", "are not the end of the"),
        (lambda sent: TRACE + sent.replace(b"\r\n.\r\n", b"\r\n..\r\n"), "are not the end"),
        (lambda sent: TRACE + sent.replace(b"\r\nFrom here", b"\r\n>From here"), "not the end"),
        (lambda sent: b"X-Spam: no\r\n" + sent, "other than a trace field .* 'x-spam'"),
    ],
)
def test_changed_message_is_noticed_and_deleted(
    machine: Machine, server: MailServer, spoil: Callable[[bytes], bytes], message: str
) -> None:
    server.spoil = spoil
    with pytest.raises(RoundTripError, match=message) as caught:
        round_trip(canary_account(machine.paths, machine.settings, machine.stack))
    assert caught.value.hint
    assert server.inbox == {}


def test_message_that_does_not_arrive(machine: Machine, server: MailServer) -> None:
    server.spoil = lambda _sent: None
    account = canary_account(machine.paths, machine.settings, machine.stack)
    looks: list[None] = []
    with pytest.raises(RoundTripError, match="was accepted, but delivery did not happen") as caught:
        round_trip(account, timeout=0.1, meanwhile=lambda: looks.append(None))
    # To send it once more would help nothing.
    assert not isinstance(caught.value, UnreachableError)
    assert looks


def test_wrong_password_is_told_with_its_step(machine: Machine, server: MailServer) -> None:
    server.password = "other"
    with pytest.raises(RoundTripError, match=f"^IMAP on port {server.imaps}: "):
        round_trip(canary_account(machine.paths, machine.settings, machine.stack))


def test_refused_submission_is_told_with_its_step(machine: Machine, server: MailServer) -> None:
    server.sockets[0].shutdown(socket.SHUT_RDWR)
    account = canary_account(machine.paths, machine.settings, machine.stack)
    with pytest.raises(UnreachableError, match=f"^submission on port {server.submission}: "):
        round_trip(dataclasses.replace(account, patience=1.0))


def test_another_certificate_is_not_trusted(machine: Machine, tmp_path: Path) -> None:
    other = ensure_certificate(tmp_path / "other", HOSTNAME)
    machine.paths.certificate.write_bytes(other.certificate)
    with pytest.raises(RoundTripError, match="CERTIFICATE_VERIFY_FAILED"):
        round_trip(canary_account(machine.paths, machine.settings, machine.stack))


def test_missing_secret(machine: Machine) -> None:
    (machine.paths.state / "secrets/canary_password").unlink()
    with pytest.raises(RoundTripError, match="canary's secrets cannot be read"):
        round_trip(canary_account(machine.paths, machine.settings, machine.stack))


def test_comparison() -> None:
    sent = make_message("canary@mail.example.com", HOSTNAME)
    assert sent.endswith(b"\r\n")
    assert message_difference(sent, sent) is None
    assert message_difference(sent, TRACE + sent) is None
    assert message_difference(sent, TRACE + sent[:-2]) is not None
    assert message_difference(sent, TRACE[:-2] + sent) == (
        "what was put in front of it is not whole lines"
    )
    assert "''" in (message_difference(sent, TRACE + b"\r\n" + sent) or "")
    assert make_message("canary@mail.example.com", HOSTNAME) != sent


def test_ports_that_answer(machine: Machine) -> None:
    for port in machine.stack.ports:
        assert port_problem(port, HOSTNAME, machine.paths.certificate) is None


def test_a_web_server_answers_and_does_not_greet(machine: Machine) -> None:
    """It is asked for something; a mail server would not be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(machine.paths.tls / "certificate.pem", machine.paths.tls / "key.pem")
    asked: list[bytes] = []

    def answer(listener: socket.socket) -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
            asked.append(connection.recv(1000))
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = Port("https", 443, listener.getsockname()[1], "implicit")
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        assert port_problem(port, HOSTNAME, machine.paths.certificate) is None
        thread.join()
    assert asked[0].startswith(f"HEAD / HTTP/1.1\r\nHost: {HOSTNAME}\r\n".encode())


def test_port_that_is_closed(machine: Machine, server: MailServer) -> None:
    port = Port("smtp", 25, free_port(), "starttls")
    assert port_problem(port, HOSTNAME, machine.paths.certificate) == "Connection refused"


def test_port_that_accepts_but_does_not_greet(machine: Machine) -> None:
    """As Docker's proxy does while nobody listens in the container."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = Port("smtp", 25, listener.getsockname()[1], "starttls")
        accept = threading.Thread(target=_accept_and_close, args=(listener,), daemon=True)
        accept.start()
        problem = port_problem(port, HOSTNAME, machine.paths.certificate)
        accept.join()
        assert problem == "the connection was closed without a greeting"
        silent = port_problem(port, HOSTNAME, machine.paths.certificate, timeout=0.1)
        assert silent == "no answer within 0.1 s"


def _accept_and_close(listener: socket.socket) -> None:
    listener.accept()[0].close()


def test_port_with_the_certificate_of_another_name(machine: Machine) -> None:
    port = machine.stack.port("imaps")
    problem = port_problem(port, "other.example.com", machine.paths.certificate)
    assert problem is not None
    assert "Hostname mismatch" in problem


def test_containers_of_the_slot(machine: Machine, engine: FakeEngine) -> None:
    result = mail.check_containers(machine)
    assert (result.state, result.measured) == ("pass", "2 running, all from this slot")
    engine.found[0] = dataclasses.replace(engine.found[0], image_id=digest("f"))
    engine.found[1] = dataclasses.replace(engine.found[1], status="exited")
    engine.found.append(Container("3", "miner", "", digest("e"), "running", "", 0, 0))
    result = mail.check_containers(machine)
    assert result.state == "fail"
    assert result.measured == (
        f"redis: exited; mta: runs {digest('f')}, not of this slot; "
        "miner: not a service of this version"
    )
    assert result.why
    assert result.what_to_do


def test_ports_check(machine: Machine, server: MailServer) -> None:
    assert mail.check_ports(machine).state == "pass"
    server.sockets[0].shutdown(socket.SHUT_RDWR)
    result = mail.check_ports(machine)
    assert result.state == "fail"
    assert "(submission): Connection refused" in result.measured


def test_listeners_check(
    machine: Machine, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {Listener("::", server.imaps), Listener("127.0.0.53", 53)}
    monkeypatch.setattr(hardware, "listening", lambda: found)
    assert hardware.check_listeners(machine).state == "pass"
    found.add(Listener("192.0.2.10", 22))
    result = hardware.check_listeners(machine)
    assert (result.state, result.measured) == ("fail", "undeclared: 22")


@pytest.mark.parametrize(
    ("disk", "state"),
    [
        (Disk(100 * GIB, 50 * GIB, 50.0), "pass"),
        (Disk(100 * GIB, 10 * GIB, 50.0), "warn"),
        (Disk(100 * GIB, 50 * GIB, 10.0), "warn"),
        (Disk(100 * GIB, 4 * GIB, 50.0), "fail"),
        (Disk(10 * GIB, 9 * GIB, 90.0), "warn"),
    ],
)
def test_disk_check(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, disk: Disk, state: str
) -> None:
    monkeypatch.setattr(hardware, "read_disk", lambda _path: disk)
    result = hardware.check_disk(machine)
    free, total = disk.free // GIB, disk.total // GIB
    assert (result.state, result.measured) == (state, f"{free}.0 of {total}.0 GiB free")
    assert bool(result.what_to_do) == (state != "pass")


@pytest.mark.parametrize(
    ("total", "available", "state"),
    [
        (2000, 500, "pass"),
        (2000, 100, "warn"),
        (2000, 40, "fail"),
        (1000, 500, "warn"),
        (800, 500, "fail"),
    ],
)
def test_memory_check(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, total: int, available: int, state: str
) -> None:
    memory = Memory(total * MIB, available * MIB)
    monkeypatch.setattr(hardware, "read_memory", lambda: memory)
    result = hardware.check_memory(machine)
    assert (result.state, result.measured) == (state, f"{available} of {total} MiB available")


@pytest.mark.parametrize(
    ("built", "synchronized", "state"),
    [
        ("2020-01-01T00:00:00Z", True, "pass"),
        ("2020-01-01T00:00:00Z", False, "warn"),
        ("2999-01-01T00:00:00Z", True, "fail"),
        ("unknown", True, "pass"),
    ],
)
def test_clock_check(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, built: str, synchronized: bool, state: str
) -> None:
    release = dataclasses.replace(RELEASE, built=built)
    monkeypatch.setattr(hardware, "is_synchronized", lambda: synchronized)
    assert hardware.check_clock(dataclasses.replace(machine, release=release)).state == state


def test_units_check(machine: Machine, programs: FakePrograms) -> None:
    programs.add("systemctl")
    assert hardware.check_units(machine).state == "pass"
    programs.add("systemctl", "echo a.service loaded failed failed A")
    assert hardware.check_units(machine).measured == "failed: a.service"


def test_check_that_cannot_be_carried_out_has_failed(machine: Machine, engine: FakeEngine) -> None:
    engine.down = True
    chosen = check.select_checks(machine, ["mail"])
    results = {result.name: result for result in check.run_checks(machine, chosen)}
    assert list(results) == [found.name for found in chosen]
    assert {result.group for result in results.values()} == {"mail"}
    assert results["containers"].state == "fail"
    assert results["containers"].measured == "Docker at unix:///x failed"
    assert results["containers"].what_to_do == "Is the Docker engine running?"
    assert results["round trip"].state == "pass"
    assert "bytes unchanged; submitted" in results["round trip"].measured


def test_result_as_text() -> None:
    width = len("round trip")
    assert check.format_result(Result("disk", "pass", "much"), width) == "pass  disk        much"
    assert check.format_result(Result("round trip", "fail", "none", "Why.", "Do."), width) == (
        "FAIL  round trip  none\n                  Why.\n                  Do."
    )


def test_long_results_fit_a_console() -> None:
    long = " ".join(f"word{number}" for number in range(30))
    lines = check.format_result(Result("disk", "warn", long, long, long), 10).splitlines()
    assert max(len(line) for line in lines) <= check.COLUMNS
    assert lines[0].startswith("WARN  disk        word0 word1 ")
    assert all(line.startswith(" " * 18 + "word") for line in lines[1:])
    assert " ".join(line[18:] for line in lines) == " ".join((long, long, long))


def test_status(machine: Machine, engine: FakeEngine, server: MailServer) -> None:
    found = status.read_status(machine)
    assert (found.version, found.base, found.hostname) == ("0.1.0", "ubuntu", HOSTNAME)
    assert found.containers == (
        status.ContainerStatus("mta", "running", "healthy", 0, 20 * MIB),
        status.ContainerStatus("redis", "running", "healthy", 1, None),
    )
    assert [port.listening for port in found.ports] == [True, True]
    assert found.problems == ()
    assert json.loads(json.dumps(found.as_json()))["ports"][1] == {
        "name": "imaps",
        "port": server.imaps,
        "tls": "implicit",
        "listening": True,
    }


def test_status_names_who_does_not_answer(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "answer_problem", lambda _host, _exchange: "Connection refused")
    found = status.read_status(machine)
    assert {container.health for container in found.containers} == {"unhealthy"}
    assert found.problems == (
        "redis: port 6379: Connection refused",
        "mta: port 587: Connection refused",
    )


def test_status_without_docker_still_tells_the_rest(machine: Machine, engine: FakeEngine) -> None:
    engine.down = True
    found = status.read_status(machine)
    assert found.containers == ()
    assert found.problems == ("Docker at unix:///x failed",)
    assert "problem: Docker at unix:///x failed" in status.format_status(found)


def test_status_as_text() -> None:
    found = status.Status(
        version="0.1.0",
        base="ubuntu",
        commit="0123456789abcdef",
        built="2026-11-24T06:00:00Z",
        hostname=HOSTNAME,
        uptime=93_784.0,
        containers=(status.ContainerStatus("mta", "running", "healthy", 0, 20 * MIB),),
        ports=(status.PortStatus("imaps", 993, "implicit", listening=False),),
        disk=status.Usage(20 * GIB, 3 * GIB),
        memory=status.Usage(2000 * MIB, 700 * MIB),
        problems=(),
    )
    assert status.format_status(found) == (
        "Mailstead  0.1.0 (ubuntu, commit 0123456789ab)\n"
        "built      2026-11-24T06:00:00Z\n"
        "hostname   mail.example.com\n"
        "uptime     1 d 2 h\n"
        "memory     700 of 2000 MiB used\n"
        "disk       3.0 of 20.0 GiB used\n"
        "\n"
        "container  state    health   memory\n"
        "mta        running  healthy  20 MiB\n"
        "\n"
        "port  service  TLS\n"
        "993   imaps    implicit  CLOSED"
    )


def test_machine_that_has_not_been_set_up(paths: Paths, engine: FakeEngine) -> None:
    with pytest.raises(SettingsError, match="has not been set up yet") as caught:
        read_machine(paths, engine)  # type: ignore[arg-type]
    assert caught.value.hint

"""A machine that only forwards: its settings, what of the stack it needs, and its own mail."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firstboot.base.canary import canary_round_trip
from firstboot.base.dkim import DkimKey
from firstboot.base.engine import Container
from firstboot.base.errors import EngineError, RoundTripError, SettingsError, UnreachableError
from firstboot.base.notices import leave_notice, send_notices
from firstboot.base.paths import Paths
from firstboot.base.services import read_stack
from firstboot.base.settings import Settings, dump_settings, parse_settings
from firstboot.base.web import read_web
from firstboot.dns.records import wanted_records
from tests.unit.firstboot.mailserver import TRACE, MailServer, mail_server
from tests.unit.firstboot.samples import SERVICES, SETTINGS, show_certificate
from tools.build.source import CHECKOUT

HOSTNAME, PASSWORD = "mail.example.com", "0" * 64
CANARY = f"canary={HOSTNAME}@forward.invalid"
HEAD = f"version: 1\nhostname: {HOSTNAME}\n"
CAUGHT = HEAD + "domains: [{name: example.com, catch_all: ada@example.net}]\npeople: []\n"
DECLARED = CHECKOUT / "compose/services.yaml"


def of(text: str) -> Settings:
    return parse_settings(text, "x.yaml")


@pytest.mark.parametrize(
    "rest",
    [
        "domains: [{name: example.com, catch_all: ada@example.net}, {name: example.org}]\n",
        "domains: [{name: Example.com}]\n"
        "groups: [{address: Postmaster@example.com, members: [ada@example.net]}]\n",
        "domains: [{name: example.com, catch_all: all@example.com}]\n"
        "groups: [{address: all@example.com, members: [ada@example.net, bob@example.net]}]\n",
    ],
)
def test_nobody_need_have_a_mailbox(rest: str) -> None:
    settings = of(HEAD + "people: []\n" + rest)
    assert settings.people == ()
    assert settings.owner == "postmaster@example.com"
    assert of(dump_settings(settings)) == settings


@pytest.mark.parametrize(
    "rest",
    [
        "domains: [{name: example.com}]\n",
        # The machine's own mail is for the first domain's postmaster.
        "domains: [{name: example.com}, {name: example.org, catch_all: ada@example.net}]\n",
        "domains: [{name: example.com}]\n"
        "groups: [{address: all@example.com, members: [ada@example.net]}]\n",
    ],
)
def test_then_the_machines_own_mail_has_to_go_somewhere(rest: str) -> None:
    with pytest.raises(SettingsError) as caught:
        of(HEAD + "people: []\n" + rest)
    assert "".join(caught.value.problems) == (
        "x.yaml:3: people: expected a person, or where mail is only forwarded, somebody elsewhere "
        "who gets that for the postmaster: a group postmaster@example.com or a catch_all of "
        "example.com; got none"
    )


def test_people_have_to_be_named_or_denied() -> None:
    with pytest.raises(SettingsError, match="people: expected a list of people, got nothing"):
        of(CAUGHT.replace("people: []\n", ""))
    # Nobody here whom a group could lead to.
    text = CAUGHT + "groups: [{address: all@example.com, members: [ada@example.com]}]\n"
    with pytest.raises(SettingsError, match="that a person or a group has, or one elsewhere"):
        of(text)
    assert of(SETTINGS).owner == "ada@example.com"


def test_what_runs() -> None:
    stack = read_stack(DECLARED)
    marked = {service.name for service in stack.services if service.needed_for}
    assert {"mailstore", "dav"} <= marked
    assert stack.needed_by(of(SETTINGS)) == stack.needed_by(None) == stack
    light = stack.needed_by(of(CAUGHT))
    assert {*light.names} == {*stack.names} - marked
    assert {"directory", "mta", "rspamd"} <= {*light.names}
    ports = {port.name for port in light.ports}
    assert "smtp" in ports
    assert not ports & {"imaps", "pop3s"}


def test_records_lead_to_nothing_that_is_not_there() -> None:
    text = CAUGHT.replace("people", "tls: {method: acme}\npeople")
    key = DkimKey("example.com", "mailstead-rsa1", "rsa", "AAAA")

    def kinds(settings: Settings) -> set[tuple[str, str]]:
        stack = read_stack(DECLARED).needed_by(settings)
        web = read_web(settings, stack)
        assert web is not None
        assert ("autoconfig.example.com" in web.names) == bool(settings.people)
        records = wanted_records(settings, stack.ports, (), (key,), web)
        return {(record.type, record.name) for record in records}

    found = kinds(of(text))
    assert {kind for kind, _ in found} == {"A", "CAA", "CNAME", "MX", "TXT"}
    assert ("CNAME", "mta-sts.example.com") in found
    full = kinds(of(SETTINGS + "tls: {method: acme}\n"))
    assert found < full
    assert {name for kind, name in full if kind == "SRV"} >= {
        "_imaps._tcp.example.com",
        "_submissions._tcp.example.com",
        "_caldavs._tcp.example.com",
    }


@dataclass
class Held:
    """Postfix's queue as its programs show it: what the server has taken is on hold."""

    server: MailServer
    others: list[dict[str, object]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    status: str = "running"
    error: bool = False

    def containers(self, _project: str) -> tuple[Container, ...]:
        return (Container("1", "mta", "", "", self.status, "172.18.0.2", 0, 0),)

    def execute(self, _container: Container, argv: Sequence[str]) -> bytes:
        if self.error:
            raise EngineError("no such container")
        if argv[0] == "postqueue":
            entries = [*self.others, *(self.entry(str(uid)) for uid in self.server.inbox)]
            lines = ["postqueue: warning: odd", *map(json.dumps, entries)]
            return "".join(f"{line}\n" for line in lines).encode()
        if argv[0] == "postsuper":
            self.deleted.append(argv[2])
            if argv[2].isdigit():
                self.server.inbox.pop(int(argv[2]))
            return b"postsuper: Deleted: 1 message\n"
        assert "postcat" in argv[2]
        content = self.server.inbox.get(int(argv[-1]), b"") if argv[-1].isdigit() else b"other\n"
        return content.replace(b"\r\n", b"\n")

    def entry(self, queue_id: str, **other: object) -> dict[str, object]:
        return {
            "queue_name": "hold",
            "queue_id": queue_id,
            "arrival_time": 4_000_000_000,
            "recipients": [{"address": CANARY}],
            **other,
        }


@pytest.fixture
def server(paths: Paths) -> Iterator[MailServer]:
    """A server whose submission is the declared one, on a machine without people."""
    show_certificate(paths)
    (paths.state / "secrets").mkdir()
    (paths.state / "secrets/canary_password").write_text(PASSWORD)
    paths.settings.write_text(CAUGHT)
    with mail_server(paths.state / "tls", f"canary@{HOSTNAME}", PASSWORD) as running:
        services = SERVICES.replace("published: 587", f"published: {running.submission}")
        paths.services.write_text(services)
        yield running


def go_round(paths: Paths, held: Held, timeout: float = 60.0) -> int:
    stack = read_stack(paths.services)
    done = canary_round_trip(paths, of(CAUGHT), stack, held, timeout=timeout)  # type: ignore[arg-type]
    return done.bytes


def test_a_forward_comes_back(paths: Paths, server: MailServer) -> None:
    held = Held(server)
    held.others = [
        # Somebody's, on hold for another reason; one still on its way; one of a check that was cut
        # off long ago; one of a check that goes on.
        held.entry("A1", recipients=[{"address": "x=example.net@forward.invalid"}], arrival_time=1),
        held.entry("A2", queue_name="active", arrival_time=1),
        held.entry("A3", arrival_time=1),
        held.entry("A4"),
    ]
    assert go_round(paths, held) > 1000
    assert held.deleted == ["A3", "1"]
    assert server.inbox == {}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda sent: TRACE + sent.replace(b"\r\n.\r\n", b"\r\n..\r\n"), "came back changed"),
        (lambda sent: b"X-Spam: Yes\r\n" + sent, "other than a trace field"),
        (lambda _sent: None, "was accepted, but its way back did not happen"),
        (lambda _sent: b"Message-ID: <another>\r\n\r\n", "its way back did not happen"),
    ],
)
def test_one_that_does_not_come_back_as_it_was(
    paths: Paths, server: MailServer, spoil: Callable[[bytes], bytes | None], problem: str
) -> None:
    server.spoil = spoil
    with pytest.raises(RoundTripError, match=problem) as caught:
        go_round(paths, Held(server), timeout=0.5 if "way back" in problem else 60.0)
    assert caught.value.hint
    assert not isinstance(caught.value, UnreachableError)


def test_what_may_be_better_soon_is_told_apart(paths: Paths, server: MailServer) -> None:
    for held in (Held(server, status="exited"), Held(server, error=True)):
        with pytest.raises(UnreachableError, match=r"mta does not run|no such container"):
            go_round(paths, held)


def test_the_machine_writes_to_its_postmaster(paths: Paths, server: MailServer) -> None:
    leave_notice(paths, "disk", "The disk is full", "Really.\n")
    assert send_notices(paths) == 1
    (content,) = server.inbox.values()
    assert b"\r\nTo: postmaster@example.com\r\n" in content
    assert not list(Path(paths.notices).iterdir())

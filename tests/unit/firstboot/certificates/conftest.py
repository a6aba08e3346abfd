"""A machine whose certificates are looked after, and the authority that gives them."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firstboot.base.engine import Container
from firstboot.base.paths import Paths
from firstboot.base.settings import parse_settings
from firstboot.certificates.machine import Machine, put_to_use, read_machine
from tests.unit.firstboot.certificates.authority import Authority, running_authority
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import SERVICES, SETTINGS, show_certificate

HOSTNAME = "mail.example.com"


@dataclass
class FakeEngine:
    """Docker, of which only who runs and who was told matters."""

    told: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def containers(self, _project: str) -> tuple[Container, ...]:
        return tuple(
            Container(name, name, "", "", "running", "", 0, 0) for name in ("mta", "redis")
        )

    def execute(self, container: Container, argv: tuple[str, ...]) -> None:
        self.told.append((container.service, argv))


@dataclass
class Clock:
    """A clock that a test can turn."""

    ahead: datetime.timedelta = datetime.timedelta()

    def __call__(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC) + self.ahead


def with_tls(machine: Machine, text: str) -> Machine:
    """The machine with another section `tls` in its settings."""
    settings = f"{SETTINGS}tls: {text}\n"
    machine.paths.settings.write_text(settings)
    return dataclasses.replace(machine, settings=parse_settings(settings, "settings"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def machine(paths: Paths, programs: FakePrograms, engine: FakeEngine, clock: Clock) -> Machine:
    """One that was set up and runs; its services show the self-signed certificate."""
    programs.add("nft")
    reload = "    stop_seconds: 45\n    reload: [postfix, reload]\n"
    paths.services.write_text(SERVICES.replace("    stop_seconds: 45\n", reload))
    paths.settings.write_text(SETTINGS)
    show_certificate(paths)
    found = read_machine(paths, engine)  # type: ignore[arg-type]
    put_to_use(found)
    engine.told.clear()
    return dataclasses.replace(found, now=clock)


@pytest.fixture(scope="session")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """One authority for all tests."""
    with running_authority(tmp_path_factory.mktemp("pebble")) as running:
        yield running


@pytest.fixture
def authority(pebble: Authority) -> Iterator[Authority]:
    """The authority as it should be, whatever the test before has made of it."""
    yield pebble
    pebble.refusal, pebble.down, pebble.advice, pebble.own_advice = None, False, None, False
    pebble.requests.clear()


def of_authority(machine: Machine, authority: Authority, challenge: str = "http-01") -> Machine:
    """The machine with its certificate from the authority."""
    tls = f"{{method: acme, directory: '{authority.directory}', challenge: {challenge}}}"
    found = with_tls(machine, tls)
    return dataclasses.replace(
        found, listen=authority.listen.get(challenge, ""), trust=authority.trust
    )


def mounted(paths: Paths) -> Path:
    """What the containers see."""
    return paths.stack / "secrets/mta/tls/certificate.pem"

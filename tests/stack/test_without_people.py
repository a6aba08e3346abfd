"""The stack of a machine that only forwards: what runs, mail that goes round, a first person."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from firstboot.base.forwardtrip import forwarded_round_trip
from firstboot.base.roundtrip import Account, round_trip
from firstboot.base.services import Stack
from firstboot.base.settings import dump_settings
from firstboot.people.office import NOW, STARTED, STOPPED, Office
from tests.stack.boxes import Boxes
from tests.stack.changed import changed_settings
from tests.stack.mail import Mail
from tests.stack.people import CANARY, EXAMPLE
from tools.stack.health import await_health
from tools.stack.lifecycle import StackUp

SECONDS = 240.0


@pytest.fixture
def kept(stack: StackUp, services: Stack) -> Iterator[str]:
    """The settings. Afterwards everybody is as before."""
    settings = stack.home.paths.settings
    text = settings.read_text()
    yield text
    settings.write_text(text)
    Office(stack.home.paths, stack.engine, stack.home.project).apply()
    await_health(stack.engine, stack.home.project, services.services)


def test_the_last_one_leaves_and_the_first_one_comes(
    stack: StackUp, services: Stack, mail: Mail, boxes: Boxes, kept: str
) -> None:
    engine, home = stack.engine, stack.home
    office = Office(home.paths, engine, home.project, who="console")
    canary = Account(
        hostname=stack.hostname,
        address=CANARY,
        password=(home.state / "secrets/canary_password").read_text().strip(),
        submission=stack.ports["submission"],
        imaps=stack.ports["imaps"],
        context=mail.context,
    )
    domains = [{"name": EXAMPLE.domain, "catch_all": "ada@far.example"}]
    forwarding = changed_settings(stack, people=[], domains=domains)
    needed = services.needed_by(forwarding)
    before = boxes.started

    home.paths.settings.write_text(dump_settings(forwarding))
    assert office.apply() == f"{NOW} {STOPPED}"
    running = [container.service for container in engine.containers(home.project)]
    assert running == sorted(needed.names)
    await_health(engine, home.project, needed.services)
    done = forwarded_round_trip(canary, engine, timeout=SECONDS, project=home.project)
    assert done.bytes > 1000
    assert '"hold"' not in boxes.run("mta", "postqueue", "-j")[1]

    home.paths.settings.write_text(kept)
    assert office.apply() == f"{NOW} {STARTED}"
    await_health(engine, home.project, services.services)
    assert round_trip(canary, timeout=SECONDS).bytes > 1000
    # Nothing else was begun anew, neither time.
    after = boxes.started
    assert {name: after[name] for name in needed.names} == {
        name: before[name] for name in needed.names
    }

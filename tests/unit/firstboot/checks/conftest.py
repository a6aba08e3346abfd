"""Fixtures: a machine before its setup, in surroundings that tests choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from firstboot.base.paths import Paths
from firstboot.base.settings import parse_settings
from firstboot.checks.machine import Bare, Machine, read_bare
from firstboot.checks.targets import Surroundings
from tests.unit.firstboot.dnsserver import Internet, internet
from tests.unit.firstboot.samples import SETTINGS

Make = Callable[..., Bare]


@pytest.fixture
def net() -> Iterator[Internet]:
    with internet() as running:
        running.resolver.serve(".", "@ 60 NS a.root.\na.root. 60 A 127.0.0.1\n")
        running.resolver.serve("com", "@ 60 NS a.root.\n")
        yield running


@pytest.fixture
def bare(paths: Paths) -> Make:
    """A machine before its setup: its own addresses, and what else is around it."""

    def make(*addresses: str, **around: Any) -> Bare:
        found = read_bare(paths)
        outgoing = tuple(map(ip_address, addresses))
        around = {"resolvers": tuple, "timeout": 60.0, **around}
        surroundings = Surroundings(outgoing=lambda: outgoing, **around)
        return Bare(paths=paths, stack=found.stack, release=found.release, around=surroundings)

    return make


@pytest.fixture
def set_up(bare: Make) -> Callable[..., Machine]:
    """The same of a machine that has been set up; `more` is added to its settings."""

    def make(*addresses: str, more: str = "", **around: Any) -> Machine:
        found = bare(*addresses, **around)
        return Machine(
            paths=found.paths,
            stack=found.stack,
            release=found.release,
            around=found.around,
            settings=parse_settings(SETTINGS + more, "x.yaml"),
            engine=None,  # type: ignore[arg-type]
        )

    return make

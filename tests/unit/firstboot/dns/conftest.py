"""Fixtures: a small Internet of DNS servers, and records of a machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.firstboot.dnsserver import Internet, internet


@pytest.fixture
def net() -> Iterator[Internet]:
    with internet() as running:
        yield running

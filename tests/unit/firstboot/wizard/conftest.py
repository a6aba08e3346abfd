"""A machine before its first setup, whose web wizard answers on the loopback interface."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from firstboot.base.paths import Paths
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.wizard.site import Site, open_site


@pytest.fixture
def site(paths: Paths, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with open_site(paths, programs, monkeypatch) as opened:
        opened.serve()
        yield opened

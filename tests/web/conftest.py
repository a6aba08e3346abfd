"""Chromium without a screen, steered by its own driver, and a machine to set up."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from firstboot.base.paths import Paths
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import write_share
from tests.unit.firstboot.wizard.site import Site, open_site
from tests.web.browser import Browser, open_browser
from tools.host.cache import cache_folder

FAILED = pytest.StashKey[bool]()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A machine that waits for settings, and serves its web wizard."""
    paths = Paths.below(tmp_path / "root")
    paths.state_partition.mkdir(parents=True)
    paths.etc.mkdir()
    write_share(paths.share)
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    with open_site(paths, FakePrograms(folder), monkeypatch) as opened:
        opened.serve()
        yield opened


@pytest.fixture(scope="session")
def album() -> Path:
    """Where screenshots of the last run lie, to be looked at."""
    folder = cache_folder() / "evidence" / "web"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def browser(album: Path, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A browser with a fresh profile; its width in CSS pixels is the parameter."""
    width = int(getattr(request, "param", 1280))
    if "site" in request.fixturenames:
        # It goes on serving until the browser has ended, whose pages look again by themselves.
        request.getfixturevalue("site")
    with open_browser(album, width) as opened:
        yield opened
        if request.node.stash.get(FAILED, False):
            opened.keep_evidence(request.node.name)
        else:
            assert opened.console_errors() == []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know that their test has failed."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report

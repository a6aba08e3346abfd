"""What all suites share: the options of `tools/forge test`, and no silent skips."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.lanes import Lanes, longest_first

# Property tests measure nothing: the machine may be busy.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("unhurried")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mailstead")
    group.addoption(
        "--base", default="auto", help="distribution below the image: auto, ubuntu, debian"
    )
    group.addoption("--seed", type=int, default=None, help="seed of randomised tests")
    group.addoption(
        "--messages", type=int, default=200, help="messages of a first synchronisation, in interop"
    )
    group.addoption("--strict-skips", action="store_true", help="a skipped test fails the run")
    group.addoption("--campaign", action="store_true", help="also what takes too long for each run")
    group.addoption("--cuts", type=int, default=1, help="how many power cuts to try")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "campaign: takes too long for each run, see --campaign")
    # Before the lanes start, which are told of it.
    seed_of(config)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    # Its own order would be by the number of tests, which says nothing of how long they take.
    config.option.loadscopereorder = False
    return Lanes(config, log)


def pytest_report_header(config: pytest.Config) -> str:
    base, cuts = config.getoption("--base"), config.getoption("--cuts")
    campaign = "with" if config.getoption("--campaign") else "without"
    return f"base: {base}, seed: {seed_of(config)}, cuts: {cuts}, {campaign} --campaign"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only a campaign has the time for, and put the rest into the lanes' order."""
    if hasattr(config, "workerinput"):
        longest_first(items)
    for item in items:
        if item.nodeid.startswith("tests/boot/"):
            # --reruns is not for them: what a machine has gone through cannot be had twice.
            item.add_marker(pytest.mark.flaky(reruns=0))
    if config.getoption("--campaign"):
        return
    left_out = [item for item in items if item.get_closest_marker("campaign")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What tests have noted with `record_property`, and why some had to run twice."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"failed at first, with --reruns: {report.nodeid}", yellow=True)
        terminalreporter.write_line(report.longreprtext)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for name, value in report.user_properties:
                    terminalreporter.write_line(f"{report.nodeid}: {name}: {value}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With --strict-skips, a run in which a test was skipped is not green."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", ())) if reporter else 0
    if skipped and session.config.getoption("--strict-skips") and exitstatus == 0:
        reporter.write_line(f"FAILED: {skipped} skipped, which --strict-skips does not allow")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def seed_of(config: pytest.Config) -> int:
    """The seed given, or one that is chosen once and shown at the top."""
    if config.getoption("--seed") is None:
        config.option.seed = random.SystemRandom().randrange(1 << 32)
    seed: int = config.getoption("--seed")
    return seed


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> random.Random:
    """Randomness that `--seed` repeats."""
    return random.Random(seed_of(request.config))  # noqa: S311 - no secrets here

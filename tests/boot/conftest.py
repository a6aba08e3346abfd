"""Machines for the boot tests: the very image, under the very firmware, with evidence kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.errors import DeadlineError, UnreachableError
from tools.boot.appliance import hardware, powered_on
from tools.boot.example import Example, make_example
from tools.build.image import TESTING, Built, build_image
from tools.host.cache import cache_folder
from tools.host.report import say
from tools.vm import Machine, keep_evidence
from tools.vm.errors import ConsoleFailureError
from tools.vm.tpm import TpmModel

# Powers on a machine for the rest of a test: PowerOn(seed=…, memory_mib=…, image=…, …).
PowerOn = Callable[..., Machine]

# Behind these a machine is not waited for any more. The last one is pytest-timeout's.
_IN_VAIN = (
    DeadlineError,
    ConsoleFailureError,
    UnreachableError,
    TimeoutError,
    pytest.fail.Exception,
)

_running: list[Machine] = []


@contextmanager
def running(machine: Machine) -> Iterator[Machine]:
    """The machine, powered on, whose evidence is kept when a test fails meanwhile.

    Or when what a fixture does with it fails, in which case no test ever sees it.
    """
    with machine:
        _running.append(machine)
        try:
            yield machine
        # The second is no Exception.
        except (Exception, pytest.fail.Exception):
            keep_evidence(machine, cache_folder("evidence", "before-the-tests"))
            raise
        finally:
            _running.remove(machine)


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest) -> Built:
    """The image under test, with a way in for tests."""
    return build_image(request.config.getoption("--base"), report=say, variant=TESTING)


@pytest.fixture(scope="session")
def example() -> Example:
    """One domain, one person, and the seed that makes them."""
    return make_example()


@pytest.fixture(scope="class")
def power_on(built: Built) -> Iterator[PowerOn]:
    """Powers on machines that end with the test class (or the test that stands alone)."""
    with ExitStack() as stack:

        def power_on(
            *,
            seed: str | None = None,
            memory_mib: int = 2048,
            tpm: TpmModel | None = "tpm-crb",
            image: Path = built.image,
            **options: Any,
        ) -> Machine:
            parts = replace(hardware(seed=seed, memory_mib=memory_mib), tpm=tpm)
            machine = stack.enter_context(powered_on(image, parts, **options))
            _running.append(machine)
            stack.callback(_running.remove, machine)
            return machine

        yield power_on


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what is known of every machine that runs while a test fails.

    One that was waited for in vain is switched off then: the tests that come after it fail at once,
    where each of them would wait for as long again.
    """
    report = yield
    if report.failed and _running:
        # Or its limit could pass while the evidence is taken.
        item.config.hook.pytest_timeout_cancel_timer(item=item)
        given_up = call.excinfo is not None and call.excinfo.errisinstance(_IN_VAIN)
        name = re.sub(r"[^\w.-]+", "-", item.nodeid)
        for number, machine in enumerate(_running):
            folder = cache_folder("evidence", name, f"machine-{number}")
            keep_evidence(machine, folder)
            report.sections.append(("evidence", f"kept in {folder}"))
            if given_up and machine.running:
                machine.power_cut("kill")
                report.sections.append(("given up", "the machine is switched off"))
    return report

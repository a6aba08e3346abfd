"""The verb `test`."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import time

import click
import pytest

from tools.build.base import AUTO
from tools.build.source import CHECKOUT
from tools.host.judges import ensure_judges
from tools.host.packages import ensure_for
from tools.host.restic import use_restic
from tools.options import base_option, json_option
from tools.progress import progress
from tools.vm import reap_leftovers

SUITES = ("unit", "web", "interop", "stack", "boot")
FAST = ("unit", "web", "interop", "stack")
# Side by side; each needs up to 4 GiB for a machine.
LANES = 2


class _Counter:
    """Counts results for --json, as pytest reports them."""

    def __init__(self) -> None:
        self.counts = {"passed": 0, "failed": 0, "skipped": 0, "rerun": 0}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # Set-up and tear-down count only when they are not well.
        if report.when == "call" or report.outcome != "passed":
            self.counts[report.outcome] += 1


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
)
@base_option(AUTO)
@click.option(
    "--fast",
    is_flag=True,
    help="Leave out what boots a machine: unit, web, interop and stack only.",
)
@json_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(*, base: str, fast: bool, as_json: bool, arguments: tuple[str, ...]) -> int:
    """Run the tests: all, or those of the suites unit, web, interop, stack and boot named first.

    Two lanes run side by side (pytest-xdist). Everything else is handed to pytest, for example:

    \b
    tools/forge test unit -k settings
    tools/forge test unit -n0 --pdb
    tools/forge test tests/unit/test_style.py
    tools/forge test boot -x --cuts 20 --seed 7
    """
    named = tuple(itertools.takewhile(SUITES.__contains__, arguments))
    rest = arguments[len(named) :]
    own = [argument for argument in rest if argument.startswith("tests/")]
    suites = named or _suites_of(own) or (FAST if fast else SUITES)
    with progress() as report:
        # Some need neither a machine nor an engine.
        for verb in suites if set(suites) <= {"unit", "web", "interop"} else ("test",):
            ensure_for(verb, report)
        if {"unit", "stack"} & set(suites):
            use_restic(report=report)
        if "interop" in suites:
            ensure_judges(report)
        reap_leftovers()
    os.chdir(CHECKOUT)
    _compile_once()
    counter = _Counter()
    started = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        # Files that are named stand for themselves.
        folders = [] if own and not named else [f"tests/{suite}" for suite in suites]
        code = pytest.main([*folders, f"--base={base}", f"-n{LANES}", *rest], plugins=[counter])
    if as_json:
        seconds = round(time.monotonic() - started, 1)
        ok = code == pytest.ExitCode.OK
        click.echo(json.dumps({"ok": ok, **counter.counts, "seconds": seconds}, indent=2))
    return int(code)


def _compile_once() -> None:
    """Have the lanes, and the Python programs that tests start, share what is compiled already."""
    os.environ["PYTHONPYCACHEPREFIX"] = f"{sys.prefix}/compiled"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _suites_of(paths: list[str]) -> tuple[str, ...]:
    """The suites that files or folders below tests/ belong to, in their order."""
    return tuple(suite for suite in SUITES if any(f"tests/{suite}" in path for path in paths))

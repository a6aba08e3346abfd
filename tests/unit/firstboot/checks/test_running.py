"""Which checks run where, in which order, and for how long; and the command."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

import pytest
from click.testing import CliRunner
from click.testing import Result as Outcome

from firstboot.base.errors import MachineError, SettingsError
from firstboot.base.paths import Paths
from firstboot.checks import check, commands
from firstboot.checks.check import CHECKS, GROUPS, Check, run_checks, select_checks
from firstboot.checks.machine import Bare, Machine
from firstboot.checks.result import Result, State, below, worst
from tests.unit.firstboot.samples import SETTINGS

Make = Callable[..., Bare]
SECONDS = 60.0  # for what happens at once


def passing(_machine: Bare) -> Result:
    return Result("x", "pass", "well")


def test_every_check_is_known_by_one_name_and_group() -> None:
    assert len({found.name for found in CHECKS}) == len(CHECKS)
    assert {found.group for found in CHECKS} == set(GROUPS)
    for found in CHECKS:
        assert (found.bare is None) != (found.set_up is None)
        assert (found.bare or found.set_up).__doc__


def test_checks_that_make_sense(bare: Make, set_up: Callable[..., Machine]) -> None:
    by_name = {found.name: found for found in CHECKS}
    before = {found.name for found in select_checks(bare())}
    assert {"memory", "TPM", "link", "resolver", "port 25 out", "blocklists"} <= before
    assert before.isdisjoint({"containers", "ports", "round trip", "listeners", "ports in"})
    left_out = [one.name for one in CHECKS if one not in select_checks(set_up())]
    assert left_out == ["duplicate address", "relay"]
    inside = {found.name for found in select_checks(set_up(), outside=False)}
    assert set(by_name) - inside == {"port 25 out", "blocklists", "relay", "duplicate address"}
    of_mail = select_checks(set_up(), ["mail"])
    assert [found.name for found in of_mail] == [
        "containers",
        "ports",
        "round trip",
        "certificate",
        "sending limits",
    ]


def test_slow_ones_run_together_and_results_keep_their_order(bare: Make) -> None:
    both = threading.Barrier(2)

    def meet(_machine: Bare) -> Result:
        both.wait(SECONDS)
        return Result("x", "pass", "met")

    chosen = (
        Check("first", "network", meet, slow=True),
        Check("second", "machine", passing),
        Check("third", "network", meet, slow=True),
    )
    results = list(run_checks(bare(), chosen, deadline=SECONDS))
    assert [result.measured for result in results] == ["met", "well", "met"]
    assert [result.group for result in results] == ["network", "machine", "network"]


def test_one_that_is_too_slow_has_failed(bare: Make) -> None:
    end = threading.Event()

    def hang(_machine: Bare) -> Result:
        end.wait()
        return Result("hangs", "pass", "late")

    chosen = (Check("hangs", "network", hang, slow=True), Check("x", "machine", passing))
    results = list(run_checks(bare(), chosen, deadline=0.1))
    end.set()
    assert [(result.name, result.state) for result in results] == [("hangs", "fail"), ("x", "pass")]
    assert results[0].measured == "no result within 0.1 s"


@pytest.mark.parametrize("slow", [False, True])
def test_error_of_ours_is_a_failure_and_a_defect_is_not_hidden(bare: Make, slow: bool) -> None:
    def refuse(_machine: Bare) -> Result:
        raise MachineError("it is gone", "Look for it.")

    def broken(_machine: Bare) -> Result:
        raise ZeroDivisionError

    (result,) = run_checks(bare(), [Check("x", "machine", refuse, slow=slow)])
    assert (result.state, result.measured, result.what_to_do) == (
        "fail",
        "it is gone",
        "Look for it.",
    )
    with pytest.raises(ZeroDivisionError):
        list(run_checks(bare(), [Check("x", "machine", broken, slow=slow)]))


def test_thresholds() -> None:
    assert [below(value, 10, 5) for value in (20, 10, 7, 5, 4)] == [
        "pass",
        "pass",
        "warn",
        "warn",
        "fail",
    ]
    assert worst("pass", "warn") == "warn"
    assert worst("warn", "fail", "pass") == "fail"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> Callable[..., Outcome]:
    """The command, with one check in each group whose state is `states`."""
    monkeypatch.setattr(commands, "Paths", lambda: paths)

    def call(*arguments: str, states: tuple[State, State] = ("pass", "warn")) -> Outcome:
        def answer(state: State) -> Callable[[Bare], Result]:
            return lambda _machine: Result("x", state, "measured", "Why.", "Do.")

        fakes = (
            Check("memory", "machine", answer(states[0])),
            Check("port 25 out", "network", answer(states[1]), outside=True),
            Check("ports", "mail", set_up=answer("pass")),
        )
        monkeypatch.setattr(check, "CHECKS", fakes)
        return CliRunner().invoke(commands.check, arguments)

    return call


def test_command_before_the_setup(run: Callable[..., Outcome]) -> None:
    done = run()
    assert done.exit_code == 0
    assert done.output.startswith("pass  x            measured\n")
    assert done.output.endswith("\nThis machine has not been set up yet: mail was not checked.\n")
    done = run("--group", "mail")
    assert isinstance(done.exception, SettingsError)


def test_command(run: Callable[..., Outcome], paths: Paths) -> None:
    paths.settings.write_text(SETTINGS)
    found = json.loads(run("--json").output)
    assert found["ok"] is True
    assert found["checks"][1] == {
        "name": "x",
        "state": "warn",
        "measured": "measured",
        "why": "Why.",
        "what_to_do": "Do.",
        "group": "network",
    }
    assert len(found["checks"]) == 3
    done = run("--json", states=("pass", "fail"))
    assert done.exit_code == 11
    assert json.loads(done.output)["ok"] is False
    assert run("--group", "machine", states=("pass", "fail")).exit_code == 0
    assert run("--group", "x").exit_code == 2


def test_nobody_outside_is_asked_when_the_owner_does_not_want_it(
    run: Callable[..., Outcome], paths: Paths
) -> None:
    failing: tuple[State, State] = ("pass", "fail")
    assert run("--no-outside", states=failing).exit_code == 0
    paths.settings.write_text(SETTINGS + "checks: {outside: false}\n")
    assert run(states=failing).exit_code == 0

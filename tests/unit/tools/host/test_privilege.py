"""Root does it, a person is asked, and nobody is ever guessed for."""

from __future__ import annotations

import io
import os
import sys

import pytest

from firstboot.base.errors import CommandError
from tests.unit.tools.host.fakes import FakePrograms
from tools.host.errors import PrivilegeError
from tools.host.privilege import run_as_root

COMMANDS = (("tool", "one"), ("tool", "two words"))
SUDO = 'case "$1" in -v) exit 0;; esac; shift; exec "$@"'


class Terminal(io.StringIO):
    """Input or output that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def _person_answers(monkeypatch: pytest.MonkeyPatch, answer: str) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def test_root_just_does_it(programs: FakePrograms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs.add("tool", 'echo "did $1"')
    assert run_as_root(COMMANDS, "x").stdout == "did two words\n"
    assert programs.calls() == ["tool one", "tool two words"]


@pytest.mark.parametrize("answer", ["\n", "y\n", "Yes\n"])
def test_a_person_says_yes(
    programs: FakePrograms, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    screen = _person_answers(monkeypatch, answer)
    programs.add("sudo", SUDO)
    programs.add("tool")
    run_as_root(COMMANDS, "The build needs tool")
    assert programs.calls("tool") == ["tool one", "tool two words"]
    assert "The build needs tool. That needs root:" in screen.getvalue()
    assert "sudo tool one && sudo tool 'two words'" in screen.getvalue()


@pytest.mark.parametrize("answer", ["n\n", "", "what\n"])
def test_a_person_says_no_or_nothing(
    programs: FakePrograms, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    _person_answers(monkeypatch, answer)
    programs.add("sudo", SUDO)
    programs.add("tool")
    with pytest.raises(PrivilegeError, match="the answer was no"):
        run_as_root(COMMANDS, "x")
    assert programs.calls() == []


def test_without_sudo_root_is_asked_to_run_it(
    programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    _person_answers(monkeypatch, "y\n")
    monkeypatch.setenv("PATH", str(programs.folder))
    with pytest.raises(PrivilegeError) as caught:
        run_as_root(COMMANDS, "x")
    assert caught.value.hint == "Run as root:\n  tool one && tool 'two words'"


def test_a_failing_command_stops_the_rest(
    programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs.add("tool", "exit 3")
    with pytest.raises(CommandError, match="exit code 3"):
        run_as_root(COMMANDS, "x")
    assert programs.calls() == ["tool one"]


def test_a_person_whom_sudo_refuses(
    programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    _person_answers(monkeypatch, "y\n")
    programs.add("sudo", "exit 1")
    with pytest.raises(PrivilegeError, match="sudo refuses"):
        run_as_root(COMMANDS, "x")
    assert programs.calls() == ["sudo -v"]

"""The command `mailstead menu`, where standard input is no terminal."""

from __future__ import annotations

import os
from typing import Any

import pytest

from firstboot import cli
from firstboot.base.paths import Paths
from firstboot.menu import commands
from tests.unit.firstboot.samples import SETTINGS


@pytest.fixture
def call(paths: Paths, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run `mailstead menu …` with these lines typed: its exit code and all that was shown."""
    monkeypatch.setattr(commands, "Paths", lambda: paths)

    def run(*arguments: str, typed: str = "") -> tuple[int, str]:
        reads, writes = os.pipe()
        os.write(writes, typed.encode())
        os.close(writes)
        kept = os.dup(0)
        os.dup2(reads, 0)
        monkeypatch.setattr("sys.argv", ["mailstead", "menu", *arguments])
        try:
            with pytest.raises(SystemExit) as caught:
                cli.main()
        finally:
            os.dup2(kept, 0)
            os.close(kept)
            os.close(reads)
        shown = capfd.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, shown.out + shown.err

    return run


def test_before_the_first_setup_there_is_nothing_to_choose(call: Any) -> None:
    code, shown = call(typed="q\n")
    assert code == 3
    assert "has not been set up yet" in shown


def test_it_shows_the_machines_name_and_ends(call: Any, paths: Paths) -> None:
    paths.settings.write_text(SETTINGS)
    code, shown = call(typed="2\nq\nq\n")
    assert code == 0
    assert "Mailstead  mail.example.com" in shown
    assert "Show the recovery kit" in shown


def test_nobody_at_the_other_end_ends_it(call: Any, paths: Paths) -> None:
    paths.settings.write_text(SETTINGS)
    assert call()[0] == 0


def test_locked_without_a_password_it_shows_no_menu(call: Any, paths: Paths) -> None:
    paths.settings.write_text(SETTINGS)
    code, shown = call("--locked", typed="\nq\n")
    assert code == 0
    assert "no administrator's password" in shown
    assert "Initial setup" not in shown

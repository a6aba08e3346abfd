"""The console's screens through a pty, and how it shares the terminal with others."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstboot.base.paths import Paths
from firstboot.base.waiting import wait_for
from firstboot.console import screens
from firstboot.system import seats
from firstboot.system.console import Console
from firstboot.system.seats import SEATS, Seat, is_drawn
from firstboot.system.terminals import open_terminals
from tests.unit.firstboot.attend import CHECKS, STATUS
from tests.unit.firstboot.emulator import Emulator, emulate
from tests.unit.firstboot.samples import SETTINGS

CHECKOUT = Path(__file__).parents[3]
ENTER, ESC, CTRL_C = "\r", "\x1b", "\x03"
SECONDS = 60.0  # for what happens at once


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gives way to a dialogue may take its time."""
    monkeypatch.setattr(seats, "CLAIM_SECONDS", SECONDS)


@contextlib.contextmanager
def attending(paths: Paths, *, term: str = "vt220") -> Iterator[tuple[Emulator, Console]]:
    """The console on a terminal, asleep, and what the machine writes lines with."""
    argv = (sys.executable, "-m", "tests.unit.firstboot.attend", paths.state_partition.parent)
    paths.runtime.mkdir(parents=True, exist_ok=True)
    with emulate(argv, term=term, env={"PYTHONPATH": str(CHECKOUT)}) as terminal:
        device = terminal.device
        taken = paths.runtime / SEATS / f"{device.name}.reader"
        wait_for(taken.exists, what="the console", timeout=SECONDS, interval=0.02)
        yield terminal, Console((device,), paths.progress)


def test_until_enter_is_pressed_the_log_goes_on(paths: Paths) -> None:
    with attending(paths) as (terminal, machine):
        machine.say("waiting for settings")
        terminal.expect("mailstead: waiting for settings")
        terminal.send("x!1")
        machine.say("another line")
        terminal.expect("mailstead: another line")
        assert "Setup" not in terminal.text


def test_the_first_screen(paths: Paths) -> None:
    with attending(paths) as (terminal, machine):
        terminal.send(ENTER)
        terminal.expect("A number chooses.")
        for text in ("New installation", "Restore from a backup", "Diagnose", "In a browser"):
            assert text in terminal.text
        assert all(len(line) < 80 for line in terminal.text.splitlines())
        # No line spoils the screen; it is shown afterwards.
        machine.say("a line meanwhile")
        terminal.send("2")
        terminal.expect("there is no repository at that place")
        assert "a line meanwhile" not in terminal.text
        terminal.send(ENTER)
        terminal.expect("A number chooses.")
        terminal.send("3")
        terminal.expect("pass  memory")
        terminal.send(ENTER)
        terminal.expect("A number chooses.")
        terminal.send("4")
        terminal.expect("Pairing code:  1234 5678")
        terminal.send("n")
        terminal.expect("n: a new code")
        terminal.send(ESC)
        terminal.expect("A number chooses.")
        terminal.send(ESC)
        terminal.expect("mailstead: a line meanwhile")


def found_before(paths: Paths, *, wrong: int) -> None:
    """Have the checks of a machine find so many things that are not right, and one that is."""
    lines = ["pass  memory  enough", "      of it"]
    for number in range(wrong):
        lines += [f"FAIL  check {number}  no", f"      Reason {number}.", f"      Advice {number}."]
    text = "\n".join((*lines, "", "Mail was not checked."))
    (paths.state_partition.parent / CHECKS).write_text(text)


def answer_again(terminal: Emulator, machine: Console, paths: Paths) -> None:
    """Have the machine refuse what was handed over, and go through the questions once more."""
    machine.say("error: This machine has no TPM 2.0")
    terminal.expect("cannot use these settings")
    wait_for(lambda: not paths.handed.exists(), what="them to be taken back", timeout=SECONDS)
    terminal.send(ENTER)
    wait_for(paths.handed.exists, what="other answers", timeout=SECONDS)


def test_what_is_not_right_is_shown_before_anything_is_asked(paths: Paths) -> None:
    found_before(paths, wrong=7)
    with attending(paths) as (terminal, machine):
        terminal.send(ENTER)
        terminal.expect("A number chooses.")
        terminal.send("1")
        # Seventeen lines at a time: neither the first nor the last one is lost.
        shown = terminal.expect("Enter: more")
        assert "check 0" in shown
        assert "Reason 5." in shown
        assert "Advice 5." not in shown
        assert "memory" not in shown
        terminal.send(ENTER)
        shown = terminal.expect("Enter: the questions")
        assert "Advice 5." in shown
        assert "Mail was not checked" not in shown
        # Nothing is asked of who goes back.
        terminal.send(ESC)
        terminal.expect("A number chooses.")
        assert not paths.handed.exists()
        terminal.send("1")
        terminal.expect("Enter: more")
        terminal.send(ENTER)
        terminal.expect("Enter: the questions")
        terminal.send(ENTER)
        terminal.expect("The machine is being set up.")
        wait_for(paths.handed.exists, what="the answers", timeout=SECONDS)
        # Whoever was told once is not told again.
        answer_again(terminal, machine, paths)


def test_a_diagnosis_is_shown_in_pages(paths: Paths) -> None:
    found_before(paths, wrong=6)
    with attending(paths) as (terminal, _machine):
        terminal.send(ENTER)
        terminal.expect("A number chooses.")
        terminal.send("3")
        assert "pass  memory  enough" in terminal.expect("Enter: more")
        terminal.send(ENTER)
        assert "Mail was not checked." in terminal.expect("Press Enter to go on.")
        terminal.send(ENTER)
        terminal.expect("A number chooses.")
        # Ctrl-C, too, leads back.
        terminal.send("3")
        terminal.expect("Enter: more")
        terminal.send(CTRL_C)
        terminal.expect("Press Enter to go on.")


def test_from_the_questions_to_a_machine_that_is_ready(paths: Paths) -> None:
    with attending(paths) as (terminal, machine):
        terminal.send(ENTER)
        terminal.expect("A number chooses.")
        terminal.send("1")
        terminal.expect("The machine is being set up.")
        assert paths.handed.exists()
        machine.say("settings from the answers")
        terminal.expect("mailstead: settings from the answers")
        paths.settings.write_text(SETTINGS)
        machine.say("containers started")
        machine.say("ready mail.example.com")
        terminal.expect("Your mail server works.")
        terminal.send(ENTER)
        terminal.expect("Status")


def test_a_machine_with_backups_offers_its_kit_after_the_setup(paths: Paths) -> None:
    """Also when a dialogue, as of the disk's recovery key, comes in between."""
    with attending(paths) as (terminal, machine):
        terminal.send(ENTER)
        terminal.expect("A number chooses.")
        terminal.send("1")
        terminal.expect("The machine is being set up.")
        machine.say("settings from the answers")
        paths.settings.write_text(f"{SETTINGS}backup: {{targets: []}}\n")
        machine.say("ready mail.example.com")
        terminal.expect("k: the recovery kit")
        with open_terminals([terminal.device], seats=paths.runtime / SEATS) as others:
            others.write("\x1b[2J\x1b[Hgroup of the key: ")
            terminal.send(f"k{ENTER}")
            assert others.read_line(SECONDS) == "k"
            others.write("\x1b[2J\x1b[Hthe recovery key is confirmed\n")
            assert "== the kit ==" not in terminal.text
        terminal.expect("k: the recovery kit")
        terminal.send("k")
        terminal.expect("== the kit ==")
        terminal.expect("Press Enter for the state")
        terminal.send(ENTER)
        terminal.expect("Status")


def test_from_a_backup_to_a_machine_that_is_ready(paths: Paths) -> None:
    paths.restore_plan.parent.mkdir()
    paths.restore_plan.write_text("what attend.py takes for a good restore")
    with attending(paths) as (terminal, machine):
        terminal.send(ENTER)
        terminal.expect("A number chooses.")
        terminal.send("2")
        terminal.expect("The machine is being set up.")
        paths.settings.write_text(SETTINGS)
        machine.say("restored everything")
        machine.say("ready mail.example.com")
        terminal.expect("Your mail server works.")
        terminal.send(ENTER)
        terminal.expect("Status")


def test_settings_that_the_machine_refuses(paths: Paths) -> None:
    with attending(paths) as (terminal, machine):
        terminal.send(ENTER)
        terminal.expect("A number chooses.")
        terminal.send("1")
        terminal.expect("The machine is being set up.")
        answer_again(terminal, machine, paths)


def test_status_and_the_way_into_the_menu(paths: Paths) -> None:
    paths.settings.write_text(SETTINGS)
    with attending(paths) as (terminal, _machine):
        terminal.send(ENTER)
        terminal.expect("Enter: menu")
        for text in ("mail.example.com", "2 h 1 min", "NOT WELL  mta (exited)", "993 imaps"):
            assert text in terminal.text
        terminal.send(ENTER)
        terminal.expect("== the menu ==")
        terminal.send(ENTER)
        terminal.expect("Enter: menu")
        terminal.send("q")
        wait_for(lambda: "Enter: menu" not in terminal.text, what="the log", timeout=SECONDS)


def test_a_dumb_terminal_takes_lines(paths: Paths) -> None:
    with attending(paths, term="dumb") as (terminal, _machine):
        terminal.send("\n")
        terminal.expect("A number chooses.")
        terminal.send("2\n")
        terminal.expect("there is no repository at that place")
        assert b"\x1b" not in terminal.raw


def test_a_dialogue_gets_the_terminal(paths: Paths) -> None:
    with attending(paths) as (terminal, _machine):
        device = terminal.device
        with open_terminals([device], seats=paths.runtime / SEATS) as terminals:
            terminals.write("Passphrase: ")
            terminal.expect("Passphrase:")
            terminal.send(f"secret{ENTER}")
            assert terminals.read_line(SECONDS) == "secret"
            # What ends a dialogue does not wake the console.
            assert "Setup" not in terminal.text
        terminal.send(ENTER)
        terminal.expect("A number chooses.")


def test_a_dialogue_goes_on_though_somebody_does_not_give_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seats, "CLAIM_SECONDS", 0.2)
    master, slave = pty.openpty()
    device = Path(os.ttyname(slave))
    seat = Seat(device, tmp_path)
    seat.take()
    before = time.monotonic()
    with open_terminals([device], seats=tmp_path) as terminals:
        assert time.monotonic() - before < SECONDS
        assert seat.is_claimed()
        os.write(master, b"x\n")
        assert terminals.read_line(SECONDS) == "x"
    assert not seat.is_claimed()
    os.close(master)
    os.close(slave)


def test_no_line_is_broken_by_the_terminal() -> None:
    texts = [value for name, value in vars(screens).items() if name.isupper()]
    texts = [value for value in texts if isinstance(value, str | tuple)]
    lines = [line for value in texts for line in ((value,) if isinstance(value, str) else value)]
    assert screens.START_KEYS in lines
    assert screens.AFTER[1] in lines
    assert [line for line in lines if len(line) > screens.WIDTH] == []


def test_a_long_problem_is_shown_to_its_end() -> None:
    problem = " ".join(f"word{number}" for number in range(30))
    lines = screens.status_lines({**STATUS, "problems": [problem]})
    assert max(len(line) for line in lines) <= screens.WIDTH
    assert " ".join(" ".join(lines).split()).endswith(f"PROBLEM {problem}")


def test_lines_and_screens_do_not_mix(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    device = tmp_path / "ttyX"
    device.touch()
    console = Console((device,), tmp_path / "progress")
    seat = Seat(device, tmp_path / SEATS)
    with seat.drawing():
        assert is_drawn(device, tmp_path / SEATS)
        console.say("held back")
        with seat.left():
            console.say("welcome")
        console.say("held back, too")
    console.say("welcome again")
    assert device.read_text() == "mailstead: welcome again\n"
    lines = ["held back", "welcome", "held back, too", "welcome again"]
    assert (tmp_path / "progress").read_text().splitlines() == lines
    assert "held back" in capfd.readouterr().out

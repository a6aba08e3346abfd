"""The menu on a real terminal: keys in, screens out, and the commands that were run."""

from __future__ import annotations

import contextlib
import functools
import os
import pty
import select
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from firstboot.base.run import Completed
from firstboot.base.waiting import wait_for
from firstboot.menu import entrance
from firstboot.menu.entrance import enter
from firstboot.menu.entries import MAIN
from firstboot.menu.menu import Left, Session
from firstboot.system import keyboard
from firstboot.system.administrator import check_password
from firstboot.system.keyboard import Terminal

CLEAR = "\033[2J\033[H"
SECONDS = 60.0  # for what happens at once


@dataclass
class Person:
    """Somebody at the other end of a pseudo-terminal; `ran` is what the menu ran meanwhile."""

    keyboard: int
    seen: str = ""
    ran: list[tuple[tuple[str, ...], bool]] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    output: str = "one line\n"

    def runner(self, words: Sequence[str], capture: bool) -> Completed:
        self.ran.append((tuple(words), capture))
        if self.output == "interrupt":
            raise KeyboardInterrupt
        return Completed(tuple(words), 0, self.output if capture else "", "")

    def type(self, keys: str) -> None:
        os.write(self.keyboard, keys.encode())

    def sees(self, text: str) -> str:
        """Wait until the present screen shows `text`; the screen."""

        def there() -> str | None:
            while select.select([self.keyboard], [], [], 0)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self.keyboard, 65536).decode()
                    continue
                break
            shown = self.seen.rpartition(CLEAR)[2]
            return shown if text in shown else None

        return wait_for(there, what=f"a screen with {text!r}", timeout=SECONDS, interval=0.01)


@contextlib.contextmanager
def at_terminal(
    *, plain: bool = False, idle: float | None = None, typed: str = ""
) -> Iterator[Person]:
    """`idle`: seconds without a key that end the menu; `typed`: keys that wait when it begins."""
    here, tty = pty.openpty()
    person = Person(here)
    person.type(typed)
    session = Session(Terminal(tty, tty, plain), runner=person.runner, idle_seconds=idle)
    thread = threading.Thread(target=lambda: person.left.append(session.visit(MAIN)), daemon=True)
    thread.start()
    try:
        yield person
        thread.join(SECONDS)
        assert person.left, "the menu was not left"
    finally:
        os.close(here)
        thread.join(SECONDS)
        os.close(tty)


def test_a_key_shows_a_commands_output_and_the_next_one_goes_back() -> None:
    with at_terminal() as person:
        assert "> 1   Initial setup" in person.sees("Press a key; ? and")
        person.type("s")
        person.sees("one line")
        person.type(" ")
        assert "> s   Status" in person.sees("Initial setup")
        person.type("q")
    assert person.ran == [(("status",), True)]
    assert person.left == ["left"]


def test_arrows_and_enter_do_the_same() -> None:
    with at_terminal() as person:
        person.sees("> 1")
        person.type("\033[B")
        person.sees("> 2   Set up backups")
        person.type("\033OB\033[A\033[A\033[A")
        person.sees("> q   Exit")
        person.type("\r")
    assert person.ran == []


def test_an_arrow_that_comes_in_pieces_is_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a slow serial line."""
    monkeypatch.setattr(keyboard, "SEQUENCE_SECONDS", SECONDS)
    with at_terminal() as person:
        person.sees("> 1")
        person.type("\033")
        person.type("[B")
        person.sees("> 2   Set up backups")
        person.type("q")


def test_long_output_is_shown_in_pages() -> None:
    with at_terminal() as person:
        person.output = "".join(f"line {number}\n" for number in range(60))
        person.sees("Exit")
        person.type("s")
        assert "line 21" in person.sees("Page 1 of 3")
        person.type(" ")
        page = person.sees("Page 2 of 3")
        assert "line 22" in page
        assert "line 44" not in page
        person.type("q")
        person.sees("Exit")
        person.type("q")


def test_help_of_one_entry_and_of_all() -> None:
    with at_terminal() as person:
        person.sees("Exit")
        person.type("?")
        person.sees("Which key shall be explained?")
        person.type("c")
        shown = person.sees("Finds out whether everything works")
        assert "Status" not in shown
        person.type(" ")
        person.sees("Exit")
        person.type("h")
        person.sees("1  Initial setup")
        person.type("q")
        person.sees("> h   Help")
        person.type("q")
    assert person.ran == []


def test_a_question_is_answered_or_left() -> None:
    window = ("settings", "set", "updates.window", '"03:00-05:00"')
    with at_terminal() as person:
        person.sees("Exit")
        person.type("3")
        assert "one line" in person.sees("Automatic upgrades")
        person.type("w")
        person.sees("From when to when")
        person.type("\n")
        person.sees("Automatic upgrades")
        person.type("w")
        person.sees("From when to when")
        person.type("03:00-05:00\n")
        person.sees("Press a key to go on")
        person.type(" ")
        person.sees("Automatic upgrades")
        person.type("qq")
    shows = (("settings", "show", "updates", "--defaults"), True)
    assert [ran for ran in person.ran if ran != shows] == [(window, False)]


def test_ctrl_c_stops_a_command_and_not_the_menu() -> None:
    with at_terminal() as person:
        person.sees("Exit")
        person.output = "interrupt"
        person.type("s")
        person.sees("stopped")
        person.type(" ")
        person.sees("Exit")
        person.type("q")
    assert person.left == ["left"]


def test_what_is_no_key_of_the_menu_does_nothing() -> None:
    with at_terminal() as person:
        person.sees("Exit")
        person.type("Z\033[5~~")
        person.type("\t\x01\xff")
        person.type("q")
    assert person.ran == []


def test_a_menu_that_nobody_uses_ends() -> None:
    with at_terminal(idle=0.2, typed="3") as person:
        person.sees("Automatic upgrades")
    assert person.left == ["idle"]


@pytest.mark.parametrize("plain", [True, False])
def test_a_terminal_that_is_gone_ends_the_menu(plain: bool) -> None:
    with at_terminal(plain=plain) as person:
        person.sees("Exit")
        person.type("\x04")
    assert person.left == ["gone"]


def test_a_terminal_that_can_do_nothing_gets_lines() -> None:
    with at_terminal(plain=True) as person:
        person.sees("  q  Exit")
        person.type("3\n")
        person.sees("  w  Change the window")
        person.type("w\n03:00-05:00\n")
        person.sees("Press Enter to go on")
        person.type("\n?\n")
        person.sees("w  Change the window\r\n   Sets the time of day")
        person.type("q\nq\nq\n")
    assert "\033" not in person.seen
    assert (("settings", "set", "updates.window", '"03:00-05:00"'), False) in person.ran


PASSWORD = "correct horse battery"
PHC = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(PASSWORD)


@contextlib.contextmanager
def at_the_door(tries: Path, phc: str | None = PHC) -> Iterator[tuple[Person, list[bool]]]:
    """Somebody who is asked for the password, and whether it let them in."""
    here, tty = pty.openpty()
    person, let_in = Person(here), list[bool]()
    door = Terminal(tty, tty, plain=False)

    def ask() -> None:
        let_in.append(enter(door, "mail.example.com", phc, tries))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield person, let_in
        thread.join(SECONDS)
    finally:
        os.close(here)
        thread.join(SECONDS)
        os.close(tty)


def test_the_password_opens_the_door_and_is_not_shown(tmp_path: Path) -> None:
    with at_the_door(tmp_path / "tries") as (person, let_in):
        person.sees("password (Enter alone goes back): ")
        person.type("not this one\n")
        person.sees("That is not the password.")
        person.type(f"{PASSWORD}\n")
    assert let_in == [True]
    assert PASSWORD not in person.seen
    assert "not this one" not in person.seen


def test_the_door_stays_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The next try would be too early, however long the one before took.
    early = functools.partial(check_password, now=lambda: 1000.0)
    monkeypatch.setattr(entrance, "check_password", early)
    with at_the_door(tmp_path / "tries") as (person, let_in):
        person.sees("password (Enter alone goes back): ")
        person.type("\n")
    assert let_in == [False]
    with at_the_door(tmp_path / "tries") as (person, let_in):
        person.sees("goes back): ")
        person.type("wrong\n" * 3)
        person.sees("the next one counts in 2 s")
    assert let_in == [False]
    with at_the_door(tmp_path / "tries") as (person, let_in):
        person.sees("goes back): ")
        person.type(f"{PASSWORD}\n\n")
    assert let_in == [False], "it was too early"


def test_without_a_password_the_door_says_how_to_set_one(tmp_path: Path) -> None:
    with at_the_door(tmp_path / "tries", phc=None) as (person, let_in):
        assert "mailstead admin password" in person.sees("Press a key to go on")
        person.type(" ")
    assert let_in == [False]


def test_keys_are_read_from_a_pipe_as_well() -> None:
    reads, writes = os.pipe()
    sink = os.open(os.devnull, os.O_WRONLY)
    os.write(writes, b"s\n\nq\n")
    ran: list[tuple[str, ...]] = []

    def runner(words: Sequence[str], capture: bool) -> Completed:
        ran.append(tuple(words))
        return Completed(tuple(words), 0, "", "")

    assert Session(Terminal(reads, sink, plain=True), runner=runner).visit(MAIN) == "left"
    os.close(writes)
    assert Session(Terminal(reads, sink, plain=True), runner=runner).visit(MAIN) == "gone"
    os.close(reads)
    os.close(sink)
    assert ran == [("status",)]

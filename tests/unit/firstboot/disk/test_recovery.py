"""The recovery key: made, shown, confirmed, and typed back."""

from __future__ import annotations

import os
import pty
import re
import stat
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstboot.base.errors import CommandError, MachineError
from firstboot.disk import dialogue, passphrase, screen
from firstboot.disk.dialogue import converse
from firstboot.disk.passphrase import ask_passphrase, passphrase_problem
from firstboot.disk.recovery import (
    Pending,
    confirm,
    new_recovery_key,
    normalized,
    read_pending,
    read_record,
    renew_at_next_start,
    settle_recovery,
)
from firstboot.disk.screen import draw_key
from tests.unit.firstboot.disk.conftest import PASSPHRASE
from tests.unit.firstboot.disk.luks import Disk

KEY = "hjbttght-khgtikrd-ktlkufnf-ghlnvkhv-fcnkchtg-hifcnguk-bnufhtnu-lublguju"
PENDING = Pending(KEY, 3, 1, "2026-01-01T00:00:00+00:00")
CODE = ("█" * 41,) * 21


class Terminal:
    """A pseudo-terminal: a test has the keyboard and the screen, the program the device."""

    def __init__(self) -> None:
        self.screen, self.device = pty.openpty()
        self.path = Path(os.ttyname(self.device))
        self.shown = ""

    def wait(self, pattern: str) -> None:
        """Until that is on the screen after what was waited for before."""
        while not (found := re.search(pattern, self.shown)):
            self.shown += os.read(self.screen, 65536).decode(errors="ignore")
        self.shown = self.shown[found.end() :]

    def type(self, line: str) -> None:
        os.write(self.screen, f"{line}\n".encode())


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    found = Terminal()
    yield found
    os.close(found.screen)
    os.close(found.device)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(passphrase, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(screen, "draw_qr", lambda _: CODE)


def run_aside(work: threading.Thread) -> threading.Thread:
    work.daemon = True
    work.start()
    return work


def answer(disk: Disk) -> str:
    pending = read_pending(disk.places)
    assert pending is not None
    return pending.groups[pending.group - 1]


def test_every_start_makes_a_new_one_until_it_is_confirmed(disk: Disk) -> None:
    keys = set()
    for _ in range(3):
        disk.start()
        assert settle_recovery(disk.places)
        assert not settle_recovery(disk.places), "a second one at the same start"
        pending = read_pending(disk.places)
        assert pending is not None
        keys.add(pending.key)
        assert disk.ways() == ["", "systemd-recovery"]
        assert disk.fits(pending.key)
    assert len(keys) == 3
    assert confirm(disk.places, answer(disk))
    disk.start()
    assert not settle_recovery(disk.places)
    assert pending is not None
    assert disk.fits(pending.key)


def test_the_pending_key_is_for_root_only(disk: Disk) -> None:
    disk.start()
    new_recovery_key(disk.places)
    assert stat.S_IMODE(disk.places.pending.stat().st_mode) == 0o600
    assert str(disk.places.pending).startswith(str(disk.places.paths.runtime))
    assert KEY not in disk.places.record.read_text()


def test_confirming_takes_the_right_group(disk: Disk) -> None:
    disk.start()
    pending = new_recovery_key(disk.places)
    right = answer(disk)
    for wrong in ("", "x", right[:-1], right + "c", pending.key, "ü"):
        assert not confirm(disk.places, wrong)
    record = read_record(disk.places)
    assert record is not None
    assert not record.confirmed
    assert confirm(disk.places, f"  {right.upper()}\n")
    assert read_pending(disk.places) is None
    with pytest.raises(MachineError, match="no recovery key is waiting"):
        confirm(disk.places, right)


def test_a_new_one_voids_the_confirmed_one_and_has_to_be_confirmed(disk: Disk) -> None:
    disk.start()
    old = new_recovery_key(disk.places).key
    assert confirm(disk.places, answer(disk))
    new = new_recovery_key(disk.places).key
    assert not disk.fits(old)
    disk.start()
    assert settle_recovery(disk.places)
    assert not disk.fits(new)


def test_the_next_start_makes_a_new_one_for_who_has_lost_it(disk: Disk) -> None:
    disk.start()
    old = new_recovery_key(disk.places).key
    assert confirm(disk.places, answer(disk))
    renew_at_next_start(disk.places)
    renew_at_next_start(disk.places)
    assert disk.fits(old)
    disk.start()
    assert settle_recovery(disk.places)
    assert not disk.fits(old)


def test_a_key_that_opened_nothing_is_not_confirmed_by_typing_it(disk: Disk) -> None:
    disk.start()
    settle_recovery(disk.places)
    disk.places.unlock_key.write_text(KEY)
    assert not settle_recovery(disk.places)
    record = read_record(disk.places)
    assert record is not None
    assert not record.confirmed


def test_a_recovery_key_that_vanished_from_the_header_is_replaced(disk: Disk) -> None:
    disk.start()
    settle_recovery(disk.places)
    confirm(disk.places, answer(disk))
    disk.slots = {0: disk.slots[0]}
    disk.start()
    assert settle_recovery(disk.places)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 2, "recovery": {}}', '{"format": 1, "recovery": {"slot": "x"}}'],
)
def test_a_record_that_is_not_ours(disk: Disk, content: str) -> None:
    disk.places.record.write_text(content)
    with pytest.raises(MachineError, match=re.escape(str(disk.places.record))):
        read_record(disk.places)


@pytest.mark.parametrize("content", ["{", "[]", '{"key": 1}'])
def test_a_pending_key_that_is_not_ours(disk: Disk, content: str) -> None:
    disk.places.pending.write_text(content)
    with pytest.raises(MachineError, match=re.escape(str(disk.places.pending))):
        read_pending(disk.places)


def test_a_key_as_people_type_it() -> None:
    assert normalized(KEY) == KEY
    assert normalized(KEY.upper().replace("-", " ")) == KEY
    assert normalized(KEY.replace("-", "")) == KEY
    assert normalized("Correct Horse - Battery") == "Correct Horse - Battery"
    assert normalized("") == ""


@pytest.mark.usefixtures("at_once")
def test_the_screen_fits_80x25() -> None:
    lines = draw_key(PENDING, colour=False).splitlines()
    assert len(lines) + 2 <= 25
    assert max(map(len, lines)) < 80
    for number, group in enumerate(PENDING.groups, start=1):
        assert any(f"{number}  {group}" in line for line in lines)
    assert "\033" not in "".join(lines)


def test_without_a_code_the_text_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> tuple[str, ...]:
        raise CommandError("command qrencode was not found")

    monkeypatch.setattr(screen, "draw_qr", fail)
    assert f"3  {PENDING.groups[2]}" in draw_key(PENDING, colour=True)


@pytest.mark.usefixtures("at_once")
def test_a_conversation(disk: Disk, terminal: Terminal) -> None:
    disk.start()
    pending = new_recovery_key(disk.places)
    devices = [Path("/dev/null"), Path("/nonexistent"), terminal.path]
    before = termios.tcgetattr(terminal.device)
    talk = run_aside(threading.Thread(target=converse, args=(disk.places, devices)))
    terminal.wait(f"8  {pending.groups[7]}")
    terminal.wait(f"Type group {pending.group} to confirm")
    terminal.type("hello")
    terminal.wait(f"That is not group {pending.group}")
    terminal.type("")
    terminal.wait(f"8  {pending.groups[7]}")
    terminal.wait("to confirm")
    terminal.type(answer(disk))
    terminal.wait(r"\x1b\[3J\x1b\[2J\x1b\[H")
    terminal.wait("is confirmed")
    talk.join(60)
    assert not talk.is_alive()
    assert pending.groups[0] not in terminal.shown
    assert termios.tcgetattr(terminal.device) == before
    record = read_record(disk.places)
    assert record is not None
    assert record.confirmed


@pytest.mark.usefixtures("at_once")
def test_a_conversation_ends_when_it_is_confirmed_elsewhere(disk: Disk) -> None:
    disk.start()
    new_recovery_key(disk.places)
    talk = run_aside(threading.Thread(target=converse, args=(disk.places, [])))
    assert confirm(disk.places, answer(disk))
    talk.join(60)
    assert not talk.is_alive()


@pytest.mark.usefixtures("at_once")
def test_whoever_needs_the_console_first_gets_it(disk: Disk, terminal: Terminal) -> None:
    disk.start()
    new_recovery_key(disk.places)
    talk = run_aside(threading.Thread(target=converse, args=(disk.places, [terminal.path])))
    terminal.wait("or: later")
    terminal.type("Later")
    terminal.wait("the next start shows a recovery key again")
    talk.join(60)
    assert not talk.is_alive()
    record = read_record(disk.places)
    assert record is not None
    assert not record.confirmed


def test_there_is_nothing_to_talk_about(disk: Disk, terminal: Terminal) -> None:
    converse(disk.places, [terminal.path])
    os.set_blocking(terminal.screen, False)
    with pytest.raises(BlockingIOError):
        os.read(terminal.screen, 1)


@pytest.mark.parametrize(
    "text",
    ["", "elevenchars", "x" * 513, "correct hörse battery", " correct horse battery", "a\tb" * 9],
)
def test_a_passphrase_that_will_not_do(text: str) -> None:
    assert passphrase_problem(text) is not None


@pytest.mark.usefixtures("at_once")
def test_asking_for_a_passphrase(terminal: Terminal) -> None:
    chosen: list[str] = []
    ask = threading.Thread(target=lambda: chosen.append(ask_passphrase([terminal.path])))
    run_aside(ask)
    for line, then in (
        (None, "Passphrase: "),
        ("short", r"too short[^:]*: at least 12[^:]*Passphrase: "),
        (PASSPHRASE, "once more: "),
        (PASSPHRASE + "x", r"not the same.*\s+Passphrase: "),
        (PASSPHRASE, "once more: "),
        (PASSPHRASE, "being set"),
    ):
        if line is not None:
            terminal.type(line)
        terminal.wait(then)
        assert "horse" not in terminal.shown
    ask.join(60)
    assert chosen == [PASSPHRASE]


@pytest.mark.usefixtures("at_once")
def test_no_console_to_ask_on() -> None:
    with pytest.raises(MachineError, match="no console"):
        ask_passphrase([Path("/nonexistent"), Path("/dev/null")])

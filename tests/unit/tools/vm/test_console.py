"""Waiting for console output, over a plain socket pair."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from firstboot.base.errors import DeadlineError
from tools.vm.console import Console
from tools.vm.errors import ConsoleFailureError, MachineDiedError

SECONDS = 60.0


@pytest.fixture
def line() -> Iterator[tuple[Console, socket.socket]]:
    """A console and the guest's end of its serial line."""
    ours, theirs = socket.socketpair()
    console = Console(ours)
    yield console, theirs
    console.close()
    theirs.close()


@pytest.fixture
def console(line: tuple[Console, socket.socket]) -> Console:
    return line[0]


@pytest.fixture
def guest(line: tuple[Console, socket.socket]) -> socket.socket:
    return line[1]


def test_match_that_came_before_the_wait(console: Console, guest: socket.socket) -> None:
    guest.sendall(b"ubuntu login: ")
    match = console.wait_for(r"^(\w+) login:", seconds=SECONDS)
    assert match[1] == "ubuntu"


def test_match_that_comes_in_pieces_while_waiting(console: Console, guest: socket.socket) -> None:
    def speak() -> None:
        for piece in (b"\x1b[0;3", b"2mlog", b"in\x1b[", b"0m: caf\xc3", b"\xa9\r\n"):
            guest.sendall(piece)

    speaker = threading.Thread(target=speak)
    speaker.start()
    console.wait_for(r"^login: café$", seconds=SECONDS)
    speaker.join()


def test_only_later_output_counts_after_a_mark(console: Console, guest: socket.socket) -> None:
    guest.sendall(b"login:\r\n")
    console.wait_for("login:\n", seconds=SECONDS)
    mark = console.mark()
    with pytest.raises(DeadlineError):
        console.wait_for("login:", seconds=0.05, after=mark)
    guest.sendall(b"login:\r\n")
    assert console.wait_for("login:", seconds=SECONDS, after=mark).start() == mark


def test_deadline_tells_the_last_40_lines(console: Console, guest: socket.socket) -> None:
    guest.sendall(b"".join(b"line %d\r\n" % number for number in range(60)))
    console.wait_for("line 59", seconds=SECONDS)
    with pytest.raises(DeadlineError, match=r"'login:' within 0 s") as caught:
        console.wait_for("login:", seconds=0.05)
    assert caught.value.message.splitlines()[1:] == [f"line {number}" for number in range(20, 60)]


def test_panic_fails_at_once(console: Console, guest: socket.socket) -> None:
    guest.sendall(b"[    3.1] Kernel panic - not syncing: VFS\r\n")
    with pytest.raises(ConsoleFailureError, match="Kernel panic"):
        console.wait_for("login:", seconds=SECONDS)


def test_failure_after_the_match_does_not_count(console: Console, guest: socket.socket) -> None:
    guest.sendall(b"login:\r\nKernel panic - not syncing\r\n")
    console.wait_for("not syncing", seconds=SECONDS, fail_on=())
    assert console.wait_for("login:", seconds=SECONDS)[0] == "login:"


def test_closed_line_fails_at_once(console: Console, guest: socket.socket) -> None:
    guest.sendall(b"last words")
    guest.shutdown(socket.SHUT_RDWR)
    with pytest.raises(MachineDiedError, match="last words"):
        console.wait_for("login:", seconds=SECONDS)
    assert console.ended


def test_typed_text_reaches_the_guest(console: Console, guest: socket.socket) -> None:
    console.send("root\n")
    assert guest.recv(100) == b"root\n"


def test_output_is_handed_on() -> None:
    heard: list[str] = []
    ours, theirs = socket.socketpair()
    console = Console(ours, heard.append)
    theirs.sendall(b"hello\x1b[")  # an escape sequence that is never finished
    theirs.close()
    console.close()
    assert "".join(heard).startswith("hello")
    assert heard[-1] == ""

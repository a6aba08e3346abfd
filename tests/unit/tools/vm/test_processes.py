"""Children end with the harness, whatever happens to it; leftovers are found again."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from firstboot.base.errors import DeadlineError
from tools.vm.deadline import Deadline
from tools.vm.errors import MachineDiedError
from tools.vm.ledger import Ledger, ProcessIdentity
from tools.vm.processes import Child, started

ROOT = Path(__file__).parents[4]
SECONDS = 60.0

# A harness that starts one child from a thread that ends, tells its number, and waits.
HARNESS = """
import contextlib, signal, sys, threading
from pathlib import Path
from tools.vm.ledger import Ledger
from tools.vm.processes import started
with contextlib.ExitStack() as stack:
    def start():
        log, ledger = Path(sys.argv[1]), Ledger(Path(sys.argv[2]))
        child = stack.enter_context(started("sleep", ["sleep", "600"], log=log, ledger=ledger))
        stack.enter_context(ledger.entered("folder", sys.argv[3]))
        print(child.pid, flush=True)
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    sys.stdin.read()
"""

# Does not hear SIGTERM, and says when it has become so.
DEAF = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(int(sys.argv[1]), b"ready")
while True:
    signal.pause()
"""


def test_child_dies_when_the_harness_is_killed(tmp_path: Path, ledger: Ledger) -> None:
    left = tmp_path / "left"
    left.mkdir()
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS, tmp_path / "log", ledger.folder, left],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert harness.stdin is not None
    assert harness.stdout is not None
    with harness.stdin, harness.stdout:
        child = os.pidfd_open(int(harness.stdout.readline()))
        # The thread that started it is gone already: that alone must not end the child.
        assert not select.select([child], [], [], 0.2)[0]
        assert ledger.reap_leftovers() == []
        harness.kill()
        harness.wait()
        assert select.select([child], [], [], SECONDS)[0]
        os.close(child)
    assert ledger.reap_leftovers() == [f"folder {left}"]
    assert not left.exists()


def test_child_ends_with_its_block(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.vm.processes.GRACE_SECONDS", SECONDS)
    with started("sleep", ["sleep", "600"], log=tmp_path / "log", ledger=ledger) as child:
        assert child.running
        assert os.getsid(child.pid) == child.pid
    assert not child.running
    assert child.returncode == -signal.SIGTERM
    assert list(ledger.folder.glob("*.json")) == []


def test_deaf_child_is_killed(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.vm.processes.GRACE_SECONDS", 0.2)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = [sys.executable, "-c", DEAF, str(theirs.fileno())]
        descriptors = [theirs.fileno()]
        log = tmp_path / "log"
        with started("deaf", argv, log=log, pass_fds=descriptors, ledger=ledger) as child:
            theirs.close()
            assert ours.recv(10) == b"ready"
    assert child.returncode == -signal.SIGKILL


def test_dead_child_is_noticed_and_quoted(tmp_path: Path, ledger: Ledger) -> None:
    argv = ["sh", "-c", "echo no such device >&2; exit 3"]
    with (
        socket.socket(socket.AF_UNIX) as listener,
        started("fake", argv, log=tmp_path / "log", ledger=ledger) as child,
    ):
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        with pytest.raises(MachineDiedError, match=r"exit code 3\)\nno such device"):
            child.accept(listener, Deadline(SECONDS))


def test_child_that_never_connects_misses_the_deadline(tmp_path: Path, ledger: Ledger) -> None:
    with (
        socket.socket(socket.AF_UNIX) as listener,
        started("sleep", ["sleep", "600"], log=tmp_path / "log", ledger=ledger) as child,
    ):
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        with pytest.raises(DeadlineError, match="did not connect"):
            child.accept(listener, Deadline(0.05))


def test_wait_wakes_when_the_child_ends(tmp_path: Path, ledger: Ledger) -> None:
    with started("sleep", ["sleep", "600"], log=tmp_path / "log", ledger=ledger) as child:
        killer = threading.Thread(target=child.kill)
        killer.start()
        assert child.wait(SECONDS)
        killer.join()


def orphan(ledger: Ledger, child: Child, start: int | None = None) -> Path:
    """Enter a process as if a harness that is gone had started it."""
    path = ledger.enter("process", child.name, child.pid)
    text = path.read_text().replace(f'"pid": {os.getpid()}', '"pid": 4194304')
    if start is not None:
        real = ProcessIdentity.of(child.pid).start
        text = text.replace(f'"start": {real}', f'"start": {start}')
    path.write_text(text)
    return path


def test_recorded_process_of_a_gone_harness_is_ended(tmp_path: Path, ledger: Ledger) -> None:
    other = Ledger(tmp_path / "other")
    with started("sleep", ["sleep", "600"], log=tmp_path / "log", ledger=other) as child:
        orphan(ledger, child)
        assert ledger.reap_leftovers() == ["process sleep"]
        assert child.wait(SECONDS)
    assert list(ledger.folder.glob("*.json")) == []


def test_another_process_with_the_same_number_is_spared(tmp_path: Path, ledger: Ledger) -> None:
    other = Ledger(tmp_path / "other")
    with started("sleep", ["sleep", "600"], log=tmp_path / "log", ledger=other) as child:
        path = orphan(ledger, child, start=1)
        assert ledger.reap_leftovers() == []
        assert child.running
    assert not path.exists()


def test_entries_of_unknown_formats_are_left_alone(ledger: Ledger) -> None:
    path = ledger.enter("folder", "/nonexistent")
    path.write_text('{"format": 99}')
    assert ledger.reap_leftovers() == []
    assert path.exists()

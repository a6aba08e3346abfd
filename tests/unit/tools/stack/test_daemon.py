"""Our own dockerd: started once, told apart from others, ended by what it is."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstboot.base.errors import EngineError
from firstboot.base.waiting import wait_for
from tests.unit.tools.stack.conftest import FakeEngine
from tools.stack.daemon import Daemon

# Behaves like dockerd as far as we look: it runs until it is asked to end.
SECONDS = 60.0  # for what happens at once
RUNS = "import signal; signal.pause()"


@contextlib.contextmanager
def _noted(daemon: Daemon, word: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a word on its command line, whose number stands in the daemon's pid file."""
    with subprocess.Popen([sys.executable, "-c", RUNS, word]) as process:
        try:
            line = Path(f"/proc/{process.pid}/cmdline")
            wait_for(lambda: word.encode() in line.read_bytes(), what="its start", timeout=SECONDS)
            daemon.runtime.mkdir()
            (daemon.runtime / "forge.pid").write_text(f"{process.pid}\n")
            yield process
        finally:
            process.kill()


def test_ends_its_own_process(daemon: Daemon) -> None:
    with _noted(daemon, f"--pidfile={daemon.runtime / 'docker.pid'}") as process:
        assert daemon.running
        daemon.stop()
        assert process.wait(timeout=SECONDS) != 0
    assert not daemon.running
    assert not daemon.runtime.exists()


def test_leaves_a_process_that_has_its_number(daemon: Daemon) -> None:
    with _noted(daemon, "--pidfile=/elsewhere") as process:
        assert not daemon.running
        daemon.stop()
        assert process.poll() is None


@pytest.mark.parametrize("content", ["", "no number", "4194305", "-1"])
def test_pid_file_without_a_process(daemon: Daemon, content: str) -> None:
    daemon.runtime.mkdir()
    (daemon.runtime / "forge.pid").write_text(content)
    assert not daemon.running


def test_failure_shows_the_log(
    daemon: Daemon, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in {
        "dockerd": "",
        # Notes a number that no process has: it has ended already.
        "start-stop-daemon": f"echo 4194305 >{daemon.runtime}/forge.pid\n"
        f'echo "$@" >{tmp_path}/words; echo no iptables >{daemon.log}',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    with pytest.raises(EngineError, match="ended while it started\n  no iptables"):
        daemon.start(print)
    words = (tmp_path / "words").read_text().split()
    assert "--iptables=false" in words
    assert f"--data-root={daemon.data}" in words


def test_one_that_runs_is_used(daemon: Daemon, engine: FakeEngine) -> None:
    engine.answering.add(daemon.host)
    with _noted(daemon, f"--pidfile={daemon.runtime / 'docker.pid'}"):
        daemon.start(pytest.fail)
        daemon.stop()


def test_socket_path_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/long" * 40)
    one = Daemon.of_cache()
    monkeypatch.setenv("XDG_CACHE_HOME", "/other")
    assert len(one.host) < 80
    assert Daemon.of_cache().host != one.host

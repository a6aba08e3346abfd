"""run(): output, environment, and errors that tell what happened."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.errors import CommandError
from firstboot.base.run import run, run_lines
from firstboot.base.waiting import wait_for

SECONDS = 60.0  # for what happens at once


def before_waiting(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something when `run` has started a program and begins to wait for it, the first time."""
    real, left = subprocess.Popen.communicate, [act]

    def communicate(self: Any, *arguments: Any, **options: Any) -> Any:
        while left:
            left.pop()()
        return real(self, *arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "communicate", communicate)


def test_returns_output_of_both_kinds() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2"])
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 0)
    assert done.argv == ("sh", "-c", "echo out; echo err >&2")


def test_feeds_standard_input() -> None:
    assert run(["cat"], stdin="grüße").stdout == "grüße"
    assert run(["cat"], stdin=b"\xff").stdout == "\ufffd"


def test_standard_input_is_empty_unless_given() -> None:
    assert run(["cat"]).stdout == ""


def test_environment_is_exactly_the_given_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAK", "1")
    assert run(["/usr/bin/env"], env={"ONLY": "this"}).stdout == "ONLY=this\n"
    assert "LEAK=1" in run(["/usr/bin/env"]).stdout


def test_runs_in_the_given_directory(tmp_path: Path) -> None:
    assert run(["pwd"], cwd=tmp_path).stdout.strip() == str(tmp_path)


def test_failure_shows_command_code_and_end_of_output() -> None:
    script = "seq 100 >&2; exit 7"
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", script])
    assert caught.value.returncode == 7
    assert str(caught.value).startswith("command sh -c 'seq 100 >&2; exit 7' failed with exit code")
    lines = str(caught.value).splitlines()[1:]
    assert lines == [f"  {number}" for number in range(86, 101)]


def test_failure_without_check_is_a_result() -> None:
    assert run(["sh", "-c", "exit 7"], check=False).returncode == 7


def test_signal_is_named() -> None:
    with pytest.raises(CommandError, match="was ended by SIGTERM"):
        run(["sh", "-c", "kill $$"])


def test_missing_program_is_named() -> None:
    with pytest.raises(CommandError, match="nosuchprogram was not found") as caught:
        run(["nosuchprogram"])
    assert caught.value.returncode == 127
    assert caught.value.hint


def test_missing_directory_is_not_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"directory .* does not exist"):
        run(["true"], cwd=tmp_path / "nowhere")


def test_program_without_permission(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    with pytest.raises(CommandError, match="Permission denied"):
        run([program])


def test_timeout_kills_everything_the_program_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file, begun = tmp_path / "pid", tmp_path / "begun"
    script = f"sleep 600 & echo $! > {pid_file}; echo started; touch {begun}; wait"
    before_waiting(monkeypatch, lambda: wait_for(begun.exists, what="its start", timeout=SECONDS))
    with pytest.raises(CommandError, match=r"did not finish within 0\.5 s\n  started"):
        run(["sh", "-c", script], timeout=0.5)
    child = int(pid_file.read_text())

    def gone() -> bool:
        status = Path(f"/proc/{child}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"

    assert wait_for(gone, what="end of the child", timeout=SECONDS)


def test_without_capture_output_goes_through(capfd: pytest.CaptureFixture[str]) -> None:
    done = run(["echo", "hello"], capture=False)
    assert done.stdout == ""
    assert capfd.readouterr().out == "hello\n"


def test_interruption_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a program runs must not leave it behind."""
    killed: list[int] = []
    real = os.killpg

    def killpg(pid: int, number: int) -> None:
        killed.append(number)
        real(pid, number)

    monkeypatch.setattr(os, "killpg", killpg)
    before_waiting(monkeypatch, lambda: signal.setitimer(signal.ITIMER_REAL, 0.1))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(["sleep", "600"])
    finally:
        signal.signal(signal.SIGALRM, before)
    assert killed == [signal.SIGKILL]


def test_lines_come_as_they_are_said() -> None:
    seen: list[str] = []
    script = "cat; echo one; echo two >&2; printf three; exit 3"
    done = run_lines(["sh", "-c", script], seen.append, stdin=b"zero\n")
    assert seen == ["zero", "one", "three"]
    assert (done.returncode, done.stderr) == (3, "two\n")


def test_who_has_heard_enough_ends_the_program() -> None:
    def heed(line: str) -> None:
        raise ValueError(line)

    started = time.monotonic()
    with pytest.raises(ValueError, match="first"):
        run_lines(["sh", "-c", "echo first; sleep 600; echo second"], heed)
    assert time.monotonic() - started < 300


def test_much_that_is_said_aside_stops_nobody() -> None:
    done = run_lines(["sh", "-c", "seq 100000 >&2; exit 1"], lambda _: None, stdin=b"x" * 1_000_000)
    assert done.stderr.splitlines()[-1] == "100000"
    assert len(done.stderr.splitlines()) < 1000


def test_who_hears_enough_complaints_ends_the_program() -> None:
    heard: list[str] = []

    def complaint(line: str) -> None:
        heard.append(line)
        if line == "worse":
            raise LookupError(line)

    script = "echo bad >&2; echo worse >&2; echo worst >&2; exec sleep 600"
    with pytest.raises(LookupError, match="worse"):
        run_lines(["sh", "-c", script], lambda _line: None, complaint=complaint)
    assert heard == ["bad", "worse"]


def test_lines_are_kept_as_they_were() -> None:
    done = run_lines(["printf", "a\\n\\nb"], lambda _line: None, keep=True)
    assert done.stdout == "a\n\nb"
    assert run_lines(["echo", "a"], lambda _line: None).stdout == ""

"""Whom the resolver asks: start-resolver, with what it starts played by scripts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from firstboot.base.run import run
from firstboot.base.waiting import wait_for
from tools.build.source import CHECKOUT

_SCRIPT = CHECKOUT / "images/containers/resolver/mkosi.extra/usr/bin/start-resolver"
_PLAYED = {
    "unbound": "echo started >> {folder}/log; read -r _ < {folder}/end",
    "unbound-control": "echo $* >> {folder}/log",
    "unbound-host": "echo asked >> {folder}/log; cat {folder}/root",
    # A minute is over when the test says so.
    "sleep": "read -r _ < {folder}/minute",
}
_ANSWER = ". has SOA record a.root-servers.net. nstld.verisign-grs.com. 1 2 3 4 5"
_FROM_THE_ROOT = ["-q forward_remove .", "-q flush_zone .", "-q flush_infra all"]
_FROM_THE_NETWORK = ["-q forward_add . 127.0.0.11", *_FROM_THE_ROOT[1:]]


@dataclass(frozen=True)
class Resolver:
    """One that can be started; `folder` has what is played, and the log of it."""

    folder: Path

    def change_root(self, answer: str) -> None:
        new = self.folder / "new"
        new.write_text(answer)
        new.replace(self.folder / "root")

    def pass_a_minute(self) -> None:
        (self.folder / "minute").write_text("\n")

    def log(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    def told(self) -> list[str]:
        """What Unbound was told by now."""
        return [line for line in self.log() if line.startswith("-q")]

    def await_told(self, expected: list[str]) -> None:
        wait_for(lambda: self.told() == expected, what=f"{expected}, not {self.log()}", timeout=60)

    def await_asked(self, times: int) -> None:
        wait_for(lambda: self.log().count("asked") == times, what="the root asked", timeout=60)


@pytest.fixture
def resolver(tmp_path: Path) -> Resolver:
    for name, text in _PLAYED.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text.format(folder=tmp_path)}\n")
        program.chmod(0o755)
    for name in ("minute", "end"):
        os.mkfifo(tmp_path / name)
    return Resolver(tmp_path)


@pytest.fixture
def start(resolver: Resolver, request: pytest.FixtureRequest) -> Iterator[int]:
    """Start it; the parameter is what the settings say about whom to ask. Gives its process id."""
    asked = resolver.folder / "asked"
    asked.write_text(f"{request.param}\n")
    resolver.change_root("")
    environment = {"PATH": f"{resolver.folder}{os.pathsep}{os.environ['PATH']}"}
    # A session of its own: all that it starts ends with it.
    process = subprocess.Popen(["sh", _SCRIPT, asked], env=environment, start_new_session=True)
    wait_for(lambda: "started" in resolver.log(), what="Unbound", timeout=60)
    yield process.pid
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.usefixtures("start")
@pytest.mark.parametrize("start", ["root"], indirect=True)
def test_the_root_is_asked_as_long_as_it_answers(resolver: Resolver) -> None:
    # One lost answer is none.
    resolver.await_asked(2)
    assert resolver.told() == []
    resolver.change_root(_ANSWER)
    resolver.pass_a_minute()
    resolver.await_told(_FROM_THE_ROOT)
    resolver.pass_a_minute()
    resolver.await_asked(4)
    resolver.change_root("")
    resolver.pass_a_minute()
    resolver.await_told([*_FROM_THE_ROOT, *_FROM_THE_NETWORK])


@pytest.mark.parametrize("start", ["named"], indirect=True)
def test_resolvers_that_the_owner_named_are_asked_for_good(resolver: Resolver, start: int) -> None:
    (resolver.folder / "end").write_text("\n")
    # Nothing goes on beside Unbound.
    os.waitid(os.P_PID, start, os.WEXITED | os.WNOWAIT)
    wait_for(lambda: alone(start), what="its end", timeout=60)
    assert resolver.log() == ["started"]


def alone(session: int) -> bool:
    """Whether a process that has ended is the last one of its session."""
    found = run(["ps", "--no-headers", "-o", "pid", "--sid", str(session)], check=False).stdout
    return found.split() == [str(session)]

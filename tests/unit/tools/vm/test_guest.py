"""The guest agent's client, against a fake agent that answers like qemu-ga."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firstboot.base.errors import CommandError, DeadlineError
from tests.unit.tools.vm.conftest import SECONDS
from tools.vm.errors import GuestAgentError
from tools.vm.guest import GuestAgent


class FakeAgent:
    """Serves one connection after the other; `files` is the guest's file system."""

    def __init__(self, path: Path) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[dict[str, Any]] = []
        self.polls = 0
        self.stale = b'{"return": {"half": "an answer to nobody"'
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                # What an earlier connection did not take any more.
                connection.sendall(self.stale)
                for line in lines:
                    request = json.loads(line.lstrip(b"\xff"))
                    connection.sendall(self._answer(request))

    def _answer(self, request: dict[str, Any]) -> bytes:
        command, given = request["execute"], request.get("arguments", {})
        if command == "guest-sync-delimited":
            # An answer to an earlier sync comes first.
            return b'\xff{"return": -1}\n\xff%s\n' % json.dumps({"return": given["id"]}).encode()
        self.requests.append(request)
        try:
            answer = {"return": self._run(command, given)}
        except FileNotFoundError:
            answer = {"error": {"class": "GenericError", "desc": "No such file or directory"}}
        return json.dumps(answer).encode() + b"\n"

    def _run(self, command: str, given: dict[str, Any]) -> object:
        match command:
            case "guest-ping" | "guest-file-close":
                return {}
            case "guest-exec":
                return {"pid": 42}
            case "guest-exec-status":
                return self._status()
            case "guest-file-open":
                if given["mode"] == "r" and given["path"] not in self.files:
                    raise FileNotFoundError
                self.path, self.offset = given["path"], 0
                self.files.setdefault(self.path, b"")
                return 1000
            case "guest-file-read":
                chunk = self.files[self.path][self.offset :][:3]
                self.offset += len(chunk)
                eof = self.offset == len(self.files[self.path])
                return {"buf-b64": base64.b64encode(chunk).decode(), "eof": eof}
            case "guest-file-write":
                taken = base64.b64decode(given["buf-b64"])[:4]
                self.files[self.path] += taken
                return {"count": len(taken)}
        raise AssertionError(command)

    def _status(self) -> dict[str, Any]:
        self.polls += 1
        if self.polls < 2:
            return {"exited": False}
        program = self.requests[0]["arguments"]["path"]
        if program == "killed":
            return {"exited": True, "signal": 9}
        code = 1 if program == "false" else 0
        return {"exited": True, "exitcode": code, "out-data": base64.b64encode(b"out\n").decode()}


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeAgent]:
    agent = FakeAgent(tmp_path / "agent")
    yield agent
    agent.close()


@pytest.fixture
def guest(tmp_path: Path, fake: FakeAgent) -> GuestAgent:
    return GuestAgent(tmp_path / "agent")


def test_ready_agent_answers(guest: GuestAgent, fake: FakeAgent) -> None:
    guest.wait_ready(seconds=SECONDS)
    assert fake.requests == [{"execute": "guest-ping", "arguments": {}}]


def test_run_waits_for_the_end_and_returns_output(guest: GuestAgent, fake: FakeAgent) -> None:
    completed = guest.run(["echo", "out"], stdin="typed")
    assert (completed.returncode, completed.stdout) == (0, "out\n")
    assert fake.polls == 2
    assert fake.requests[0]["arguments"] == {
        "path": "echo",
        "arg": ["out"],
        "capture-output": True,
        "input-data": base64.b64encode(b"typed").decode(),
    }


def test_failed_program_is_an_error_if_checked(guest: GuestAgent, fake: FakeAgent) -> None:
    with pytest.raises(CommandError, match="false failed with exit code 1\nout"):
        guest.run(["false"])


def test_killed_program_has_a_negative_code(guest: GuestAgent, fake: FakeAgent) -> None:
    assert guest.run(["killed"], check=False).returncode == -9


def test_files_go_both_ways_in_pieces(guest: GuestAgent, fake: FakeAgent) -> None:
    content = bytes(range(256))[:10]
    guest.write_file("/etc/file", content)
    assert fake.files == {"/etc/file": content}
    assert guest.read_file("/etc/file") == content


def test_missing_file_is_told(guest: GuestAgent, fake: FakeAgent) -> None:
    with pytest.raises(GuestAgentError, match="guest-file-open: No such file"):
        guest.read_file("/nonexistent")


def test_silent_agent_misses_the_deadline(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "agent"))
        listener.listen()
        with pytest.raises(DeadlineError, match="did not answer guest-ping within 0 s"):
            GuestAgent(tmp_path / "agent").wait_ready(seconds=0.05)


def test_ended_machine_has_no_agent(tmp_path: Path) -> None:
    with pytest.raises(GuestAgentError, match="no connection"):
        GuestAgent(tmp_path / "agent").wait_ready(seconds=SECONDS)

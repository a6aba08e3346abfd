"""Runs commands inside the guest and moves files, through qemu-guest-agent.

The agent speaks JSON lines over a virtual serial port that remembers nothing of connections, so
each request first finds its place in the stream (`guest-sync-delimited`, qemu-ga-ref(7)). The
0xFF marks of that command are no JSON, which is why `qemu.qmp` cannot be used here.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from firstboot.base.errors import CommandError, DeadlineError
from firstboot.base.run import Completed
from firstboot.base.waiting import wait_for
from tools.vm.deadline import Deadline
from tools.vm.errors import GuestAgentError

ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.1
CHUNK_BYTES = 1 << 20
_MARK = b"\xff"


class GuestAgent:
    """The agent behind QEMU's socket at `path`; deadlines are multiplied by `factor`."""

    def __init__(self, path: Path, *, factor: float = 1.0) -> None:
        self._path = path
        self._factor = factor

    def wait_ready(self, *, seconds: float) -> None:
        """Wait until the agent answers. DeadlineError or GuestAgentError when it does not."""
        # One request is enough: it waits in the serial port until the agent opens that.
        self._request("guest-ping", {}, seconds * self._factor)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | bytes | None = None,
        check: bool = True,
        timeout: float = 30.0,
    ) -> Completed:
        """Run a program in the guest as root and return its output.

        Raises CommandError when it fails (with `check`), DeadlineError when it takes longer than
        `timeout` seconds (scaled); it is not ended then.
        """
        program, *arguments = argv
        request: dict[str, object] = {"path": program, "arg": arguments, "capture-output": True}
        if stdin is not None:
            data = stdin.encode() if isinstance(stdin, str) else stdin
            request["input-data"] = base64.b64encode(data).decode()
        pid = self.execute("guest-exec", request)["pid"]

        def ended() -> dict[str, Any] | None:
            status: dict[str, Any] = self.execute("guest-exec-status", {"pid": pid})
            return status if status["exited"] else None

        # The agent has no event for the end of a program.
        status = wait_for(
            ended,
            what=f"the end of {program} in the guest",
            timeout=timeout * self._factor,
            interval=POLL_SECONDS,
            # Each question costs the guest a line in its journal.
            slowing=0.1,
        )
        completed = _completed(argv, status)
        if check and completed.returncode != 0:
            raise CommandError(
                f"in the guest, {' '.join(argv)} failed with exit code {completed.returncode}\n"
                f"{completed.stderr or completed.stdout}",
                returncode=completed.returncode,
            )
        return completed

    def read_file(self, path: PurePosixPath | str) -> bytes:
        """The content of a file in the guest."""
        handle = self.execute("guest-file-open", {"path": str(path), "mode": "r"})
        content = b""
        try:
            while True:
                request = {"handle": handle, "count": CHUNK_BYTES}
                answer = self.execute("guest-file-read", request)
                content += _decode(answer["buf-b64"])
                if answer["eof"]:
                    return content
        finally:
            self.execute("guest-file-close", {"handle": handle})

    def write_file(self, path: PurePosixPath | str, content: bytes) -> None:
        """Make or replace a file in the guest (not atomically)."""
        handle = self.execute("guest-file-open", {"path": str(path), "mode": "w"})
        try:
            rest = content
            while rest:
                encoded = base64.b64encode(rest[:CHUNK_BYTES]).decode()
                request = {"handle": handle, "buf-b64": encoded}
                rest = rest[self.execute("guest-file-write", request)["count"] :]
        finally:
            # Flushes too: the agent uses buffered files.
            self.execute("guest-file-close", {"handle": handle})

    def execute(self, command: str, arguments: dict[str, Any]) -> Any:
        """Run one of the agent's own commands and return its result."""
        return self._request(command, arguments, ANSWER_SECONDS * self._factor)

    def _request(self, command: str, arguments: dict[str, Any], seconds: float) -> Any:
        deadline = Deadline(seconds)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(deadline.remaining)
                connection.connect(str(self._path))
                stream = _Stream(connection, deadline)
                stream.synchronize()
                stream.send({"execute": command, "arguments": arguments})
                answer = stream.receive_line()
        except TimeoutError as error:
            raise DeadlineError(
                f"the guest agent did not answer {command} within {seconds:.0f} s",
                "Is qemu-guest-agent in the image, and has the guest got that far?",
            ) from error
        except OSError as error:
            raise GuestAgentError(
                f"no connection to the guest agent: {error}", "Does the machine still run?"
            ) from error
        if "error" in answer:
            text = answer["error"].get("desc", answer["error"])
            raise GuestAgentError(f"the guest agent refused {command}: {text}")
        return answer["return"]


class _Stream:
    """One connection to the agent, read line by line."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = b""

    def synchronize(self) -> None:
        """Skip whatever earlier connections left, in both directions."""
        token = secrets.randbelow(1 << 31)
        # The mark makes the agent forget half a request, its answer begins with one.
        self._connection.sendall(_MARK)
        self.send({"execute": "guest-sync-delimited", "arguments": {"id": token}})
        while True:
            self._read_through(_MARK)
            if self.receive_line().get("return") == token:
                return

    def send(self, message: dict[str, Any]) -> None:
        self._connection.settimeout(self._time_left())
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def receive_line(self) -> dict[str, Any]:
        line = self._read_through(b"\n")
        answer = json.loads(line)
        return answer if isinstance(answer, dict) else {}

    def _read_through(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._connection.settimeout(self._time_left())
            chunk = self._connection.recv(65536)
            if not chunk:
                raise ConnectionResetError("QEMU closed the connection")
            self._buffer += chunk
        before, _, self._buffer = self._buffer.partition(end)
        return before

    def _time_left(self) -> float:
        # A timeout of zero would mean "do not block".
        if self._deadline.expired:
            raise TimeoutError
        return self._deadline.remaining


def _completed(argv: Sequence[str], status: dict[str, Any]) -> Completed:
    """The agent's `guest-exec-status` in our own words."""
    return Completed(
        tuple(argv),
        # Like subprocess: a signal is a negative exit code.
        status["exitcode"] if "exitcode" in status else -status["signal"],
        _decode(status.get("out-data", "")).decode(errors="replace"),
        _decode(status.get("err-data", "")).decode(errors="replace"),
    )


def _decode(text: str) -> bytes:
    return base64.b64decode(text)

"""The one place that starts long-running programs (QEMU, swtpm); short ones go through `run()`.

A child here never outlives the harness: `with` ends it, and when the harness itself is killed
the kernel ends it (PR_SET_PDEATHSIG, prctl(2)).
"""

from __future__ import annotations

import contextlib
import functools
import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from firstboot.base.errors import DeadlineError
from tools.vm.deadline import Deadline
from tools.vm.errors import MachineDiedError, VirtualMachineError
from tools.vm.ledger import Ledger

# What a program gets between SIGTERM and SIGKILL.
GRACE_SECONDS = 5.0
LOG_LINES_IN_ERRORS = 40


class Child:
    """A running program, its log, and a descriptor that becomes readable when it ends."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.pid = process.pid
        self.log = log
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)

    @property
    def running(self) -> bool:
        """Whether the program has not ended yet."""
        # Not poll(): that says "runs" while another thread is just about to reap the program.
        return self._process.returncode is None and not self._ended_within(0)

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal, None while it runs."""
        return None if self.running else self._process.wait()

    def wait(self, seconds: float) -> bool:
        """Wait for the program's end; returns whether it has ended."""
        return self._process.returncode is not None or self._ended_within(seconds)

    def accept(self, listener: socket.socket, deadline: Deadline) -> socket.socket:
        """Take the connection that the program makes to us when it starts.

        Raises MachineDiedError as soon as it has ended instead, DeadlineError after the deadline.
        """
        watched = [listener.fileno(), self._pidfd]
        ready, _, _ = select.select(watched, [], [], deadline.remaining)
        if listener.fileno() in ready:
            connection, _ = listener.accept()
            return connection
        if ready:
            self.wait(deadline.remaining)
            raise self.death("while it started")
        raise DeadlineError(
            f"{self.name} did not connect within {deadline.seconds:.0f} s\n{self.log_tail()}",
            hint="Look whether the host is overloaded.",
        )

    def death(self, when: str) -> MachineDiedError:
        """The error that says how the program ended and what it said last."""
        return MachineDiedError(
            f"{self.name} ended {when} (exit code {self.returncode})\n{self.log_tail()}",
            hint=f"The lines above are {self.name}'s own last words.",
        )

    def log_tail(self) -> str:
        """The last lines that the program wrote on standard output and error."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(lines[-LOG_LINES_IN_ERRORS:])

    def kill(self) -> None:
        """End the program at once (SIGKILL) and reap it."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask the program to end, and end it when it takes longer than the grace."""
        if self.running:
            self._process.terminate()
        if not self.wait(GRACE_SECONDS):
            self.kill()

    def close(self) -> None:
        """End the program if need be and let its descriptor go."""
        self.stop()
        self._process.wait()
        os.close(self._pidfd)

    def _ended_within(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._pidfd], [], [], seconds)
        return bool(ready)


@contextlib.contextmanager
def started(
    name: str,
    argv: Sequence[str | Path],
    *,
    log: Path,
    pass_fds: Sequence[int] = (),
    ledger: Ledger | None = None,
) -> Iterator[Child]:
    """Run a program for as long as the block runs; its output is appended to `log`.

    The program leads its own session: Ctrl-C on the terminal reaches the harness only, which then
    ends the program in the right order.
    """
    # setpriv(1) sets the death signal between fork and exec, where Python code would not be safe
    # beside other threads.
    command = ["setpriv", "--pdeathsig", signal.Signals.SIGKILL.name[3:], "--", *map(str, argv)]
    child = _spawner().submit(_spawn, name, command, log, tuple(pass_fds)).result()
    entry: Path | None = None
    try:
        with contextlib.suppress(ProcessLookupError):
            entry = (ledger or Ledger()).enter("process", name, child.pid)
        yield child
    finally:
        child.close()
        if entry is not None:
            entry.unlink(missing_ok=True)


@functools.cache
def _spawner() -> ThreadPoolExecutor:
    """A thread that lives as long as the harness.

    The kernel sends the death signal when the *thread* that forked ends, so a short-lived worker
    must not fork.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="vm-spawner")


def _spawn(name: str, command: list[str], log: Path, pass_fds: tuple[int, ...]) -> Child:
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                start_new_session=True,
            )
    except OSError as error:
        raise VirtualMachineError(
            f"cannot start {name}: {error}", hint="Install the package `util-linux` (setpriv)."
        ) from error
    return Child(name, process, log)

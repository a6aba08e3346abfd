"""A Docker daemon of our own, for hosts on which none runs. It lives until the last stack is down.

It leaves no trace on the host: no firewall rules (containers reach each other and the host's
loopback reaches them without any), no default bridge, no forwarding. The price: its containers
have no way to the outside, which mail from example.com must not find anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import select
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firstboot.base.engine import Engine
from firstboot.base.errors import DeadlineError, EngineError
from firstboot.base.files import make_directory
from firstboot.base.run import run
from firstboot.base.waiting import wait_for
from tools.host.cache import cache_folder, cache_root
from tools.host.report import Say

# A busy host may take minutes for what takes seconds.
START_SECONDS = 300.0
STOP_SECONDS = 180.0
LOG_LINES = 20


@dataclass(frozen=True)
class Daemon:
    """The daemon with its store in `data` and everything volatile in `runtime`."""

    data: Path
    runtime: Path
    log: Path

    @classmethod
    def of_cache(cls) -> Daemon:
        """The one daemon of the cache that is in use, for all stacks."""
        # Sockets must have short paths (unix(7): 108 bytes), which a cache need not have.
        mark = hashlib.sha256(str(cache_root()).encode()).hexdigest()[:12]
        return cls(
            data=cache_root() / "docker",
            runtime=Path(f"/run/mailstead-docker-{mark}"),
            log=cache_root() / "logs/dockerd.log",
        )

    @property
    def host(self) -> str:
        """Where it answers, as in DOCKER_HOST."""
        return f"unix://{self.runtime / 'docker.sock'}"

    @property
    def running(self) -> bool:
        with self._process() as process:
            return process is not None

    def start(self, report: Say) -> None:
        """Start it unless it runs, and wait until it answers.

        Raises EngineError with the end of its log when it does not come up.
        """
        if not self.running:
            report(f"Starting a Docker engine, since none answers (log: {self.log}) …")
            self._launch()
        try:
            wait_for(self._answers, what="an answer of dockerd", timeout=START_SECONDS)
        except DeadlineError as error:
            raise self._failure(str(error)) from None

    def stop(self) -> None:
        """End it, and remove what it kept in memory; its store stays for the next time."""
        with self._process() as process:
            if process is not None:
                signal.pidfd_send_signal(process, signal.SIGTERM)
                if not select.select([process], [], [], STOP_SECONDS)[0]:
                    raise EngineError(
                        f"dockerd did not end within {STOP_SECONDS:g} s of SIGTERM\n{self._tail()}",
                        f"End process {self._pid_file.read_text().strip()} by hand.",
                    )
        shutil.rmtree(self.runtime, ignore_errors=True)

    def _launch(self) -> None:
        cache_folder("logs")
        make_directory(self.data, mode=0o711)
        make_directory(self.runtime, mode=0o700)
        for leftover in (self._pid_file, self._own_pid_file):
            leftover.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)
        program = shutil.which("dockerd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        if program is None:
            raise EngineError("no Docker engine answers, and there is no dockerd to start")
        # From dpkg: the daemon gets a session of its own and outlives us, unlike any child of
        # tools/vm/processes.py.
        run(
            [
                *("start-stop-daemon", "--start", "--background", "--output", self.log),
                *("--make-pidfile", "--pidfile", self._pid_file, "--exec", program, "--"),
                *(f"--data-root={self.data}", f"--exec-root={self.runtime / 'exec'}"),
                *(f"--pidfile={self._own_pid_file}", f"--host={self.host}"),
                *("--iptables=false", "--ip-forward=false", "--bridge=none"),
                # There is no way out to a name server, and Docker leaves questions for one without
                # an answer. Postfix asks for the name of each client, so let it wait only briefly.
                *("--dns=127.0.0.1", "--dns-opt=timeout:1", "--dns-opt=attempts:1"),
            ]
        )

    def _answers(self) -> bool:
        if self._ended():
            raise self._failure("dockerd ended while it started")
        return answering(self.host)

    def _ended(self) -> bool:
        """Whether the process that was just launched is gone.

        Not the opposite of `running`: for a moment, a new program has no command line yet.
        """
        try:
            process = os.pidfd_open(int(self._pid_file.read_text()))
        except ProcessLookupError:
            return True
        except (OSError, ValueError):
            return False
        try:
            return bool(select.select([process], [], [], 0)[0])
        finally:
            os.close(process)

    @property
    def _pid_file(self) -> Path:
        return self.runtime / "forge.pid"

    @property
    def _own_pid_file(self) -> Path:
        return self.runtime / "docker.pid"

    @contextlib.contextmanager
    def _process(self) -> Iterator[int | None]:
        """A descriptor of the daemon's process, None when it does not run.

        A number from a file may be somebody else's by now. What the descriptor stands for stays the
        same process, and that it is ours shows in its command line, which names our own files.
        """
        with contextlib.ExitStack() as stack:
            try:
                pid = int(self._pid_file.read_text())
                process = os.pidfd_open(pid)
                stack.callback(os.close, process)
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except (OSError, ValueError):
                words = []
            ours = f"--pidfile={self._own_pid_file}".encode() in words
            yield process if ours else None

    def _failure(self, message: str) -> EngineError:
        return EngineError(
            f"{message}\n{self._tail()}",
            "The lines above are dockerd's own. If a Docker engine can run elsewhere on this host, "
            "start it; what answers at /var/run/docker.sock or DOCKER_HOST is used.",
        )

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()
            return "\n".join(f"  {line}" for line in lines[-LOG_LINES:])
        return f"  (no log in {self.log})"


def answering(host: str) -> bool:
    """Whether a Docker engine answers at `host`."""
    try:
        return bool(Engine(host).version)
    except EngineError:
        return False

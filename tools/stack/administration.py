"""The machine's side of the web administration, for a stack without a machine.

On the appliance systemd starts it when somebody asks; here it runs as long as the stack.
"""

from __future__ import annotations

import socket
import sys
from functools import partial
from pathlib import Path

from firstboot.base.engine import Engine
from firstboot.base.run import run
from firstboot.base.waiting import wait_for
from tools.build.source import CHECKOUT
from tools.stack.home import Home

START_SECONDS = 60.0


def start_administration(home: Home, engine: Engine) -> None:
    """Start it anew, since what runs may be of older code, and wait until it answers."""
    stop_administration(home)
    run(
        [
            *("start-stop-daemon", "--start", "--background", "--chdir", CHECKOUT),
            *("--output", home.folder / "administration.log"),
            *("--make-pidfile", "--pidfile", _pid_file(home), "--exec", sys.executable, "--"),
            *("-m", "firstboot", "administration", "--home", home.folder),
            *("--engine", engine.host, "--project", home.project),
        ]
    )
    wait_for(
        partial(_answers, home.paths.administration),
        what="the start of the administration",
        timeout=START_SECONDS,
        interval=0.05,
        hint=f"See {home.folder / 'administration.log'}.",
    )


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    except OSError:
        return False
    return True


def stop_administration(home: Home) -> None:
    """End it, if it runs; the number of a process that is another program by now is left alone."""
    pid_file = _pid_file(home)
    if pid_file.exists():
        words = ("--stop", "--oknodo", "--retry", "10", "--pidfile", pid_file)
        run(["start-stop-daemon", *words, "--exec", sys.executable])
        pid_file.unlink(missing_ok=True)


def _pid_file(home: Home) -> Path:
    return home.folder / "administration.pid"

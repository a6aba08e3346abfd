"""Which Docker engine a stack runs on: the host's own if it answers, else one that we start."""

from __future__ import annotations

import os

from firstboot.base.engine import SOCKET, Engine
from firstboot.base.errors import EngineError
from tools.host.compose import obtain_compose
from tools.host.packages import ensure_for
from tools.host.report import Say
from tools.stack.daemon import Daemon, answering
from tools.stack.home import Record

_LOCAL = "unix://"


def find_engine(known: Record | None, daemon: Daemon, report: Say) -> Engine:
    """The engine where the stack is, else the one that answers, else our own, started.

    Raises EngineError when no engine can be had, PrivilegeError, ArchiveError or HostError when
    something that it needs cannot be installed.
    """
    if known is not None:
        return reach_engine(known, daemon, report)
    host = os.environ.get("DOCKER_HOST") or SOCKET
    if not host.startswith(_LOCAL):
        raise EngineError(
            f"the Docker engine at {host} cannot be used: expected one of this machine ({_LOCAL}…)",
            "The containers read files of this machine. Unset DOCKER_HOST to have one started.",
        )
    if not answering(host):
        if "DOCKER_HOST" in os.environ:
            report(f"No Docker engine answers at {host} (DOCKER_HOST).")
        ensure_for("stack", report)
        host = daemon.host
        daemon.start(report)
    return Engine(host, compose=obtain_compose(report=report))


def reach_engine(known: Record, daemon: Daemon, report: Say) -> Engine:
    """The engine where a stack is; ours is started when it does not run, for example after a boot.

    Raises EngineError when it is not ours and does not answer.
    """
    if known.engine == daemon.host:
        daemon.start(report)
    elif not answering(known.engine):
        raise EngineError(
            f"the stack is on the Docker engine at {known.engine}, which does not answer",
            "Start that engine, then run: tools/forge stack down",
        )
    return Engine(known.engine, compose=obtain_compose(report=report))

"""A machine behind the web pages: the real socket to the machine's own code, and real services."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from click.testing import CliRunner

from firstboot.administration.server import Server, listen
from firstboot.base.engine import Container
from firstboot.base.paths import Paths
from firstboot.cli.serving import make_desk
from postmaster.cli import cli
from tests.unit.firstboot.people.running import MadeLog, NotingEngine, set_up
from tests.unit.firstboot.samples import SETTINGS, write_share
from tests.unit.postmaster.harness import DEADLINE, Files, Stack
from tests.unit.postmaster.pageclient import PageClient

PASSWORD = "correct horse battery"
PHC = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(PASSWORD)
MORE = f"""\
administrator: {{password_hash: '{PHC}'}}
dns: {{addresses: [93.184.216.34]}}
"""
QUEUE = (
    Path(__file__).parents[1].joinpath("firstboot/queue/postqueue.jsonl").read_bytes()
)  # what Postfix has listed once
WAITING = "5271E2120E4"
LOG = [
    (90_000, "postfix/smtpd[1]: connect from mx.example.org[192.0.2.7]"),
    (3600, "postfix/smtpd[1]: 4bYx1Q2dzJz1: client=mx.example.org[192.0.2.7]"),
    (
        3600,
        "postfix/qmgr[2]: 4bYx1Q2dzJz1: from=<eve@example.org>, size=1234, nrcpt=1 (queue active)",
    ),
    (
        3599,
        "postfix/lmtp[3]: 4bYx1Q2dzJz1: to=<ada@example.com>, relay=mailstore[172.18.0.4]:24, "
        "delay=0.3, delays=0.2/0/0/0.1, dsn=2.0.0, status=sent (250 2.0.0 Delivered to Junk)",
    ),
    (
        600,
        "postfix/smtpd[5]: NOQUEUE: reject: RCPT from mx.example.org[192.0.2.7]: 550 5.1.1 "
        "<b&<i@example.com>: User unknown; from=<eve@example.org> to=<b&<i@example.com> helo=<x>",
    ),
    (
        60,
        "postfix/smtp[6]: 4bYx1Q2dzJz2: to=<bob@far.example>, relay=mx.far.example[192.0.2.9]:25, "
        "delay=1, delays=0/0/1/0, dsn=4.2.2, status=deferred (host mx.far.example[192.0.2.9] said: "
        "452 4.2.2 full (in reply to RCPT TO command))",
    ),
]


@dataclass
class ProvingEngine(NotingEngine):
    """Which asks the real directory what concerns passwords and keys."""

    control: Path = Path()
    rereads: Callable[[], object] = bool  # what becomes of it when the settings are others

    def ask(
        self, container: Container, argv: Sequence[str], lines: Sequence[str]
    ) -> tuple[int, bytes]:
        if "reread" in argv:
            self.rereads()
        if argv[3] not in {"prove", "open", "vaults", "destroy"}:
            return super().ask(container, argv, lines)
        words = ["person", "--control", str(self.control), *argv[2:]]
        done = CliRunner().invoke(cli, words, input="".join(f"{line}\n" for line in lines))
        return done.exit_code, done.output.encode()

    def execute(self, container: Container, argv: Sequence[str]) -> bytes:
        done = super().execute(container, argv)
        return b"OK\n" if argv[0] == "redis-cli" else done


@dataclass
class Machine:
    """A machine behind the pages, and a browser at them."""

    paths: Paths
    engine: ProvingEngine
    browser: PageClient
    stack: Stack
    socket: Path
    log: MadeLog

    def sign_in(self, password: str = PASSWORD) -> str:
        return self.browser.send("/admin/sign-in", {"password": password}).words


@contextmanager
def running_machine(files: Files, folder: Path) -> Iterator[Machine]:
    """Yield one; there are no containers behind its services that could be asked."""
    paths = Paths.below(folder / "root")
    paths.state_partition.mkdir(parents=True)
    write_share(paths.share)
    set_up(paths, SETTINGS + MORE)
    engine = ProvingEngine(
        ("directory", "rspamd", "mta", "learned"), queue=QUEUE, control=files.control
    )
    listener = listen(folder / "s/socket", os.getuid())
    log = MadeLog(list(LOG))
    # Time stands still: what is told of a delay does not depend on how long the test takes.
    desk = make_desk(paths, engine, lambda: 1000.0, log=log)  # type: ignore[arg-type]
    server = Server(desk, os.getuid(), None)
    thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
    thread.start()
    stack = Stack(files, grace=0.05)
    path = folder / "s/socket"
    yield Machine(paths, engine, PageClient(stack.start_admin(path)), stack, path, log)
    stack.stop()
    listener.shutdown(socket.SHUT_RDWR)
    thread.join(DEADLINE)
    listener.close()

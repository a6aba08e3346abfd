"""A machine before its first setup, and the web wizard that it serves on the loopback interface."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from firstboot.backup.keys import present_recovery
from firstboot.backup.kit import Opening, confirm, kit_text
from firstboot.backup.kitpage import Kit as Paper
from firstboot.backup.kitpage import kit_pdf
from firstboot.base.errors import MailsteadError
from firstboot.base.handover import hand_over
from firstboot.base.paths import Paths
from firstboot.base.questions.model import Answer, Facts
from firstboot.base.settings import Settings
from firstboot.base.waiting import wait_for
from firstboot.setup import waiting
from firstboot.setup.boot import boot
from firstboot.system.console import Console
from firstboot.wizard.draft import read_draft, write_draft
from firstboot.wizard.web import server
from firstboot.wizard.web import service as service_module
from firstboot.wizard.web.invitation import Invitation, read_invitation
from firstboot.wizard.web.kit import Kit
from firstboot.wizard.web.progress import await_questions, is_waiting, read_lines
from firstboot.wizard.web.records import DnsRecord
from firstboot.wizard.web.service import NAME, Service, Surroundings
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import SETTINGS

RECORDS = (
    DnsRecord("example.com", "MX", "example.com", "10 mail.example.com", "required", "Mail."),
    DnsRecord("example.com", "A", "mail.example.com", "", "required", "The way to it."),
    DnsRecord(
        "example.com",
        "TXT",
        "mailstead-rsa1._domainkey.example.com",
        f"v=DKIM1; k=rsa; p={'MIIBIjANBgkqhkiG9w0BAQEFAAO' * 14}",
        "advised",
        "Proves that mail comes from this machine.",
    ),
    DnsRecord("", "PTR", "192.0.2.10", "mail.example.com", "required", "Others look `back`."),
)
QR = ((True, False), (False, True))
SECONDS = 180.0


@dataclass(frozen=True)
class PaperKit:
    """The kit of the machine itself, without the command that has it drawn."""

    paths: Paths

    def fetch(self) -> Kit | None:
        recovery = present_recovery(self.paths)
        if recovery.confirmed:
            return None
        openings = [Opening("home", "disk:MAILBACKUP", "its next backup sees to that")]
        page = kit_text("mail.example.com", recovery, openings)
        printed = kit_pdf(Paper("mail.example.com", recovery, openings, QR, "2026-11-30"))
        return Kit(recovery.kit, recovery.code, recovery.group, page, printed)

    def confirm(self, group: str) -> bool:
        return confirm(self.paths, group)


@dataclass
class Site:
    """The service, and the machine that takes what is handed over. `boot` runs for real."""

    paths: Paths
    service: Service
    console: Console
    refusal: MailsteadError | None = None
    threads: list[threading.Thread] = field(default_factory=list)
    used: str = ""  # the code that somebody has paired with last
    _over: bool = False

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.service.ports[0]}"

    @property
    def plain_address(self) -> str:
        return f"http://127.0.0.1:{self.service.ports[1]}"

    @property
    def invitation(self) -> Invitation:
        """What the console shows now."""
        found = read_invitation(self.paths.invitation)
        assert found is not None
        return found

    def turn_on(self) -> None:
        """Let `mailstead boot` run as far as it comes; it refuses settings with `refusal`."""

        def admit(_settings: Settings) -> None:
            if self._over:
                raise SystemExit
            if self.refusal is not None:
                raise self.refusal

        def run() -> None:
            with contextlib.suppress(SystemExit):
                boot(self.paths, self.console, admit)

        self._start(run)

    def say(self, *lines: str) -> None:
        """What `mailstead start` says on the consoles."""
        for line in lines:
            self.console.say(line)

    def answer_elsewhere(self, answers: dict[str, Answer], step: str) -> None:
        """What somebody answers at the console meanwhile."""
        draft = read_draft(self.paths)
        done = (*draft.done, step)
        write_draft(self.paths, replace(draft, typed={**draft.typed, **answers}, done=done))

    def serve(self) -> None:
        """Turn it on, and start the web wizard once it is wanted, which looks twice a second."""
        self.turn_on()
        self.wait_until(lambda: is_waiting(read_lines(self.paths)))
        self.start_service()
        self.wait_until_served()

    def wait_until_served(self) -> None:
        self.wait_until(lambda: read_invitation(self.paths.invitation) is not None)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        wait_for(condition, what="what the test waits for", timeout=SECONDS, interval=0.02)

    @contextlib.contextmanager
    def connect(self) -> Iterator[ssl.SSLSocket]:
        """A TLS connection over which nothing was said yet."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        with (
            socket.create_connection(("127.0.0.1", self.service.ports[0]), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as secure,
        ):
            yield secure

    def accepts(self, port: int) -> bool:
        """Whether somebody listens on a port."""
        try:
            socket.create_connection(("127.0.0.1", port), SECONDS).close()
        except ConnectionRefusedError:
            return False
        return True

    @property
    def certificate(self) -> Path:
        return self.paths.invitation.parent / "tls" / "certificate.pem"

    def await_new_code(self, old: str) -> Invitation:
        self.wait_until(lambda: self.invitation.code not in {old, ""})
        return self.invitation

    def use_code(self) -> str:
        """The code that is good now: after a pairing the console shows another one soon."""
        self.used = self.await_new_code(self.used).code
        return self.used

    def start_service(self) -> None:
        def run() -> None:
            if await_questions(self.paths, self.service.ended):
                self.service.run()

        self._start(run)

    def stop(self) -> None:
        """End both; `boot` would wait for settings for ever."""
        self._over = True
        self.service.ended.set()
        hand_over(self.paths, SETTINGS)
        for thread in self.threads:
            thread.join(SECONDS)
            assert not thread.is_alive()

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        thread.start()
        self.threads.append(thread)


@contextlib.contextmanager
def open_site(
    paths: Paths, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A machine that is off, with its web wizard; ports are any that are free."""
    programs.lsblk()
    programs.add("systemctl", "[ $1 != is-active ]")
    programs.add("nft")
    monkeypatch.setattr(socket, "sethostname", lambda _name: None)
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(service_module, "TICK_SECONDS", 0.05)
    configure = server._config

    def patient(app: Any, pair: server.Pair | None) -> Any:
        """Or a connection might end the moment that a client goes on with it."""
        made = configure(app, pair)
        made.timeout_keep_alive = 3600
        return made

    monkeypatch.setattr(server, "_config", patient)
    surroundings = Surroundings(
        paths,
        Facts(protections=("tpm2", "passphrase", "key-file"), interfaces=("enp1s0",)),
        addresses=lambda: ("127.0.0.1", "2001:db8::10"),
        records=lambda: RECORDS,
        kit_desk=PaperKit(paths),
        kept_open=lambda _port: contextlib.nullcontext(),
        host="127.0.0.1",
        https_port=0,
        http_port=0,
    )
    site = Site(paths, Service(surroundings), Console((), paths.progress))
    try:
        yield site
    finally:
        site.stop()

"""The life of the web wizard, from its first page to a machine that is ready."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from firstboot.base.certificate import ensure_certificate
from firstboot.base.errors import MailsteadError
from firstboot.base.firewall import HTTPS, SETUP_HTTPS
from firstboot.base.paths import Paths
from firstboot.base.questions.model import Facts
from firstboot.wizard.web.app import make_app
from firstboot.wizard.web.finish import LAST_PAGE_SECONDS
from firstboot.wizard.web.invitation import Invitation, take_request, write_invitation
from firstboot.wizard.web.kit import KitDesk
from firstboot.wizard.web.pairing import Pairing
from firstboot.wizard.web.records import DnsRecord
from firstboot.wizard.web.redirect import redirect
from firstboot.wizard.web.server import Pair, open_port, serving
from firstboot.wizard.web.wizard import Wizard

# Name of the certificate; browsers go by the fingerprint on the console.
NAME = "mailstead.internal"
TICK_SECONDS = 1.0
ADDRESS_SECONDS = 5.0
# How long a machine that is set up may take until it is ready: it has to unpack its services.
READY_SECONDS = 2 * 3600.0
# How long a last page that nobody looks at is kept.
UNSEEN_SECONDS = 1800.0


@dataclass(frozen=True)
class Surroundings:
    """What the web wizard takes from the machine; `host` and ports are others in tests.

    `addresses` may raise a MailsteadError, which counts as none. `kept_open` lets others reach the
    pages at 443 while it lasts, once the machine has its settings; before, the firewall does.
    """

    paths: Paths
    facts: Facts
    addresses: Callable[[], tuple[str, ...]]
    records: Callable[[], tuple[DnsRecord, ...]]
    kit_desk: KitDesk
    kept_open: Callable[[int], AbstractContextManager[None]]
    host: str = ""
    https_port: int = SETUP_HTTPS  # not 443: the service that has it starts while we serve
    http_port: int = 80


@dataclass
class Service:
    """The web wizard while it runs; `ended` may be set to end it."""

    around: Surroundings
    ended: threading.Event = field(default_factory=threading.Event)
    ports: tuple[int, int] = (0, 0)
    _since: float = 0.0
    _shown: Invitation | None = None
    _found: tuple[str, ...] = ()
    _looked: float = -math.inf

    def run(self) -> None:
        """Serve until setup is finished, here or elsewhere. Raises ListenError."""
        try:
            self._serve()
        finally:
            self.around.paths.invitation.unlink(missing_ok=True)

    def _serve(self) -> None:
        around = self.around
        directory = around.paths.invitation.parent / "tls"
        certificate = ensure_certificate(directory, NAME).certificate
        pair = Pair(directory / "certificate.pem", directory / "key.pem")
        wizard = Wizard(
            around.paths,
            around.facts,
            Pairing(),
            fingerprint_of(certificate),
            around.records,
            around.kit_desk,
        )
        secure = open_port(around.https_port, around.host)
        self.ports = (secure.getsockname()[1], 0)
        with serving(make_app(wizard), secure, pair):
            with self._redirecting():
                self._go_on(wizard, lambda: wizard.is_handed_over)
            # Whoever proves to an authority that this machine has its name needs port 80.
            self._go_on(wizard, self.around.paths.settings.exists)
            # From here on the settings say what is open.
            with self.around.kept_open(self.ports[0]):
                self._go_on(wizard, lambda: self._finished(wizard))

    def _go_on(self, wizard: Wizard, condition: Callable[[], bool]) -> None:
        """Keep what the consoles show right, until something is so."""
        self._tick(wizard)
        while not condition() and not self.ended.wait(TICK_SECONDS):
            self._tick(wizard)

    @contextlib.contextmanager
    def _redirecting(self) -> Iterator[None]:
        """Send those who type no https on their way; setup goes on without."""
        try:
            plain = open_port(self.around.http_port, self.around.host)
        except MailsteadError:
            yield
            return
        self.ports = (self.ports[0], plain.getsockname()[1])
        with serving(redirect, plain):
            yield

    def _tick(self, wizard: Wizard) -> None:
        wizard.note_lines()
        path = self.around.paths.invitation
        if take_request(path):
            wizard.pairing.renew()
        invitation = Invitation(
            self._addresses(), wizard.pairing.code, wizard.fingerprint, wizard.pairing.paired
        )
        if invitation != self._shown:
            write_invitation(path, invitation)
            self._shown = invitation

    def _addresses(self) -> tuple[str, ...]:
        now = time.monotonic()
        if now - self._looked >= ADDRESS_SECONDS:
            # Not more often: each look starts a program.
            self._looked, self._found = now, ()
            with contextlib.suppress(MailsteadError):
                self._found = self.around.addresses()
        port = "" if self.ports[0] in {HTTPS, SETUP_HTTPS} else f":{self.ports[0]}"
        return tuple(f"https://{f'[{ip}]' if ':' in ip else ip}{port}" for ip in self._found)

    def _finished(self, wizard: Wizard) -> bool:
        """Whether nobody needs the pages of a machine that is set up any more."""
        if not wizard.pairing.paired:
            # Somebody has answered elsewhere.
            return True
        self._since = self._since or time.monotonic()
        passed = time.monotonic() - self._since
        if wizard.shown is not None:
            return time.monotonic() - wizard.shown > LAST_PAGE_SECONDS
        return passed > (UNSEEN_SECONDS if wizard.progress.ready else READY_SECONDS)


def fingerprint_of(certificate: bytes) -> str:
    """The SHA-256 of a certificate (PEM) as browsers show it: `AB:CD:…`."""
    digest = x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256())
    return digest.hex(":").upper()

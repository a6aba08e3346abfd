"""Mail programs for the tests: how a person and a foreign mail server reach the stack."""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firstboot.base.roundtrip import trusting
from firstboot.base.waiting import wait_for
from tests.stack.people import STRANGER
from tools.stack.example import Person
from tools.stack.lifecycle import StackUp
from tools.stack.ports import LOOPBACK

SECONDS = 120.0
HELO = "client.example.org"


class _Smtp(smtplib.SMTP):
    """To the loopback address, while the certificate has to name the host."""

    def _get_socket(self, _host: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((LOOPBACK, port), timeout)


class _SmtpTls(_Smtp):
    """The same with TLS from the first byte."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._trust = context
        super().__init__(host, port, local_hostname=HELO, timeout=SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = super()._get_socket(host, port, timeout)
        return self._trust.wrap_socket(plain, server_hostname=host)


class _Imap(imaplib.IMAP4_SSL):
    """To the loopback address, while the certificate has to name the host."""

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((LOOPBACK, self.port), timeout)
        context: ssl.SSLContext = self.ssl_context
        return context.wrap_socket(plain, server_hostname=self.host)


@dataclass(frozen=True)
class Mail:
    """The services of a stack as mail programs use them. What is yielded is closed at the end."""

    stack: StackUp

    def password(self, person: Person) -> str:
        return self.stack.home.password_file(person.address).read_text(encoding="ascii")

    @property
    def context(self) -> ssl.SSLContext:
        return trusting(self.stack.certificate)

    @contextlib.contextmanager
    def smtp(self, service: str) -> Iterator[smtplib.SMTP]:
        """A connection to the port of `service`, greeted, before any STARTTLS."""
        host, port = self.stack.hostname, self.stack.ports[service]
        if service == "submissions":
            connection: smtplib.SMTP = _SmtpTls(host, port, self.context)
        else:
            connection = _Smtp(host, port, local_hostname=HELO, timeout=SECONDS)
        with contextlib.closing(connection):
            connection.ehlo()
            yield connection

    @contextlib.contextmanager
    def submission(self, person: Person, service: str = "submission") -> Iterator[smtplib.SMTP]:
        """A person's connection to `submission` (after STARTTLS) or `submissions`, logged in."""
        with self.smtp(service) as connection:
            if service == "submission":
                connection.starttls(context=self.context)
            connection.login(person.address, self.password(person))
            yield connection

    @contextlib.contextmanager
    def imap(self, person: Person) -> Iterator[imaplib.IMAP4]:
        """A person's connection to IMAP, logged in, with INBOX open."""
        with self.imap_connection() as connection:
            connection.login(person.address, self.password(person))
            connection.select("INBOX")
            yield connection

    @contextlib.contextmanager
    def imap_connection(self) -> Iterator[imaplib.IMAP4]:
        """A connection to IMAP before the login."""
        host, port = self.stack.hostname, self.stack.ports["imaps"]
        connection = _Imap(host, port, ssl_context=self.context, timeout=SECONDS)
        try:
            yield connection
        finally:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                connection.logout()

    def send(self, sender: Person, recipient: str, message: bytes) -> None:
        """Submit a message."""
        with self.submission(sender) as smtp:
            smtp.sendmail(sender.address, [recipient], message)

    def receive(self, recipients: Sequence[str], message: bytes, sender: str = STRANGER) -> None:
        """Hand a message over as a foreign mail server does."""
        with self.smtp("smtp") as smtp:
            smtp.sendmail(sender, recipients, message)

    def fetch(
        self, person: Person, mark: str, *, folder: str = "INBOX", timeout: float = SECONDS
    ) -> bytes:
        """Wait for the message of a person that contains `mark`, and return all of it."""
        with self.imap(person) as imap:

            def look() -> bytes | None:
                imap.select(folder)
                return next(find(imap, mark), None)

            return wait_for(
                look,
                what=f"the arrival of {mark} at {person.address}",
                timeout=timeout,
                interval=0.1,
            )

    def count(self, person: Person, mark: str) -> int:
        """How many messages of a person contain `mark` now."""
        with self.imap(person) as imap:
            return sum(1 for _ in find(imap, mark))


def find(imap: imaplib.IMAP4, mark: str) -> Iterator[bytes]:
    """The messages of the open mailbox that contain `mark`, newest first."""
    imap.noop()
    for number in reversed(imap.search(None, "ALL")[1][0].split()):
        message = fetch(imap, number.decode())
        if mark.encode() in message:
            yield message


def fetch(imap: imaplib.IMAP4, number: str) -> bytes:
    """One message of the open mailbox, byte for byte, left unseen."""
    answer = imap.fetch(number, "(BODY.PEEK[])")[1]
    return next(bytes(part[1]) for part in answer if isinstance(part, tuple))


def refusal(smtp: smtplib.SMTP, sender: str, recipient: str) -> tuple[int, str]:
    """The code and text with which RCPT, or already MAIL, is answered."""
    for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
        code, text = smtp.docmd(command)
        if code >= 400:
            break
    smtp.rset()
    return code, text.decode()

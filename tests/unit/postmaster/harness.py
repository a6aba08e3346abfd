"""A running directory and mail store on loopback, for tests that talk to real sockets."""

from __future__ import annotations

import asyncio
import base64
import imaplib
import json
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings

from postmaster.admin.machine_link import SOCKET
from postmaster.admin.server import AdminOptions, serving_admin
from postmaster.crypto.passwords import Argon2Parameters
from postmaster.directory.service import DirectoryOptions, DirectoryPorts, serving_directory
from postmaster.mailstore import MailstoreOptions, MailstorePorts, serving_mailstore
from postmaster.storage.vaults import GRACE_SECONDS
from tests.unit.postmaster.fakeredis import FakeRedis

T = TypeVar("T")

# `--hypothesis-seed` repeats a run.
bounded = settings(max_examples=60)

ADA, BOB = "ada@example.com", "bob@example.com"
PASSWORD = "correct horse battery staple"
SPARE_PEOPLE = tuple(f"spare{number}@example.com" for number in range(400))
CANARY = "canary@mail.example.com"
CANARY_PASSWORD = "c0" * 32
DIRECTORY_KEY = "d1" * 32
MAILSTORE_TOKEN = "5e" * 32
ADMIN_TOKEN = "ad" * 32
LEARNING_TOKEN = "1e" * 32
CHEAP = Argon2Parameters(64, 1, 1)
DEADLINE = 120.0  # seconds, for what should happen at once; a busy machine takes its time


@dataclass(frozen=True)
class Ports:
    """Where the services of a test listen."""

    directory: DirectoryPorts
    mailstore: MailstorePorts


@dataclass(frozen=True)
class Files:
    """Where the services of a test keep things."""

    settings: Path
    canary_password: Path
    certificate: Path
    pair: Path
    vaults: Path
    keys: Path
    spool: Path
    restored: Path
    database: Path
    alarms: Path
    directory_key: Path
    mailstore_token: Path
    admin_token: Path
    learning_token: Path
    control: Path


def settings_text(password_hash: str) -> str:
    """Return a settings file with Ada, Bob and the spare people, one for each test."""
    return f"""
version: 1
hostname: mail.example.com
domains:
  - name: example.com
  - name: example.org
people:
  - address: Ada@Example.com
    name: Ada Lovelace
    password_hash: {password_hash}
    aliases: [countess@example.com]
  - address: bob@example.com
    password_hash: {password_hash}
""" + "".join(
        f"  - {{address: {spare}, password_hash: '{password_hash}'}}\n" for spare in SPARE_PEOPLE
    )


def make_files(folder: Path, password_hash: str, certificate: tuple[Path, Path]) -> Files:
    """Lay out settings, secrets and state for one pair of services."""
    files = Files(
        settings=folder / "settings",
        canary_password=folder / "canary_password",
        certificate=certificate[0],
        pair=folder / "pair.pem",
        vaults=folder / "vaults",
        keys=folder / "keys",
        spool=folder / "spool",
        restored=folder / "restored",
        database=folder / "database",
        alarms=folder / "alarms",
        directory_key=folder / "directory_key",
        mailstore_token=folder / "mailstore_token",
        admin_token=folder / "admin_token",
        learning_token=folder / "learning_token",
        control=folder / "control",
    )
    files.pair.write_bytes(b"".join(file.read_bytes() for file in certificate))
    files.settings.write_text(settings_text(password_hash))
    files.canary_password.write_text(CANARY_PASSWORD)
    files.directory_key.write_text(DIRECTORY_KEY)
    files.mailstore_token.write_text(MAILSTORE_TOKEN)
    files.admin_token.write_text(ADMIN_TOKEN)
    files.learning_token.write_text(LEARNING_TOKEN)
    folders = (files.vaults, files.keys, files.spool, files.restored, files.database, files.alarms)
    for made in folders:
        made.mkdir()
    return files


async def until(condition: Callable[[], object], what: str) -> None:
    """Return when a condition holds; AssertionError names it after DEADLINE seconds.

    For what happens in this event loop, which goes on meanwhile.
    """
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"waited {DEADLINE:.0f} s for {what}"
        await asyncio.sleep(0.005)


class Stack:
    """Both services in one event loop on a thread of its own, until `stop`."""

    def __init__(
        self,
        files: Files,
        grace: float = GRACE_SECONDS,
        message_size_limit: int = 256 * 1024,
        redis: FakeRedis | None = None,
        rspamd_port: int = 9,  # discard: nobody is there
    ) -> None:
        """`grace`: seconds that a vault stays open after its last use; the limit is in bytes.

        Without `redis` there are no limits on logins.
        """
        self.rspamd_port = rspamd_port
        self.files = files
        self.grace = grace
        self.message_size_limit = message_size_limit
        self.redis = redis
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._services = AsyncExitStack()
        self._directory = AsyncExitStack()
        self.ports = self._wait(self._start())

    async def _start(self) -> Ports:
        redis_port = 9  # discard: nobody is there
        if self.redis is not None:
            server = await asyncio.start_server(self.redis.serve, "127.0.0.1", 0)
            await self._services.enter_async_context(server)
            redis_port = server.sockets[0].getsockname()[1]
        await self._services.enter_async_context(self._directory)
        directory = await self._directory.enter_async_context(
            serving_directory(
                DirectoryOptions(
                    settings=self.files.settings,
                    canary_password=self.files.canary_password,
                    key=self.files.directory_key,
                    mailstore_token=self.files.mailstore_token,
                    admin_token=self.files.admin_token,
                    database=self.files.database,
                    alarms=self.files.alarms,
                    control=self.files.control,
                    argon2=CHEAP,
                    listen="127.0.0.1",
                    socketmap_port=0,
                    auth_port=0,
                    query_port=0,
                    policy_port=0,
                    self_port=0,
                    redis_host="127.0.0.1",
                    redis_port=redis_port,
                )
            )
        )
        mailstore = await self._services.enter_async_context(
            serving_mailstore(
                MailstoreOptions(
                    vaults=self.files.vaults,
                    keys=self.files.keys,
                    certificate=self.files.pair,
                    spool=self.files.spool,
                    restored=self.files.restored,
                    token=self.files.mailstore_token,
                    grace=self.grace,
                    directory_host="127.0.0.1",
                    directory_port=directory.query,
                    rspamd_host="127.0.0.1",
                    rspamd_port=self.rspamd_port,
                    learning_token=self.files.learning_token,
                    listen="127.0.0.1",
                    lmtp_port=0,
                    imap_port=0,
                    pop3_port=0,
                    dav_port=0,
                    export_port=0,
                    message_size_limit=self.message_size_limit,
                )
            )
        )
        return Ports(directory, mailstore)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE)

    @property
    def running(self) -> bool:
        """Say whether `stop` was not called yet."""
        return not self._loop.is_closed()

    def stop(self) -> None:
        """End both services the way SIGTERM does."""
        self._wait(self._services.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.close()

    def start_admin(self, socket: Path = SOCKET) -> int:
        """Start the web pages, too; return their port. `socket` is the machine's."""
        machine = self.files.settings.with_name("machine.json")
        names = {"hostname": "mail.example.com", "imaps": 993, "pop3s": 995}
        machine.write_text(json.dumps({**names, "submissions": 465, "submission": 587}))
        options = AdminOptions(
            directory_host="127.0.0.1",
            directory_port=self.ports.directory.self_service,
            mailstore_host="127.0.0.1",
            mailstore_port=self.ports.mailstore.export,
            token=self.files.admin_token,
            machine=machine,
            listen="127.0.0.1",
            port=0,
            socket=socket,
        )
        return self._wait(self._services.enter_async_context(serving_admin(options)))

    def stop_directory(self) -> None:
        """End the directory only."""
        self._wait(self._directory.aclose())

    def deliver(self, message: bytes, *recipients: str) -> dict[str, tuple[int, bytes]]:
        """Deliver by LMTP; return the refused recipients with their answers."""
        refused: dict[str, tuple[int, bytes]] = {}
        with smtplib.LMTP("127.0.0.1", self.ports.mailstore.lmtp) as lmtp:
            lmtp.ehlo()  # says LHLO
            lmtp.mail("sender@elsewhere.example")
            accepted = []
            for recipient in recipients or (ADA,):
                code, text = lmtp.rcpt(recipient)
                if code == 250:
                    accepted.append(recipient)
                else:
                    refused[recipient] = (code, text)
            # smtplib reads one answer after DATA, whoever the recipients are.
            answers = [lmtp.data(message), *(lmtp.getreply() for _ in accepted[1:])]
        for recipient, (code, text) in zip(accepted, answers, strict=True):
            if code != 250:
                refused[recipient] = (code, text)
        return refused

    def control(self, line: bytes) -> Any:
        """Say a line on the control socket; return the answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(str(self.files.control))
            connection.sendall(line + b"\n")
            return json.loads(connection.makefile("rb").readline())

    def connect(self) -> imaplib.IMAP4_SSL:
        """Return an IMAP connection, not logged in; the certificate is verified."""
        context = ssl.create_default_context(cafile=str(self.files.certificate))
        return imaplib.IMAP4_SSL(
            "localhost", self.ports.mailstore.imap, ssl_context=context, timeout=DEADLINE
        )

    @contextmanager
    def imap(self, person: str = ADA, password: str = PASSWORD) -> Iterator[imaplib.IMAP4_SSL]:
        """Yield an IMAP connection that is logged in."""
        client = self.connect()
        try:
            client.login(person, password)
            yield client
        finally:
            client.shutdown()


class RawImap:
    """An IMAP client that says exactly what a test says, and hears every line."""

    def __init__(self, stack: Stack, person: str | None = ADA) -> None:
        """Connect, and log in unless `person` is None."""
        context = ssl.create_default_context(cafile=str(stack.files.certificate))
        plain = socket.create_connection(("localhost", stack.ports.mailstore.imap), DEADLINE)
        self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self._lines = self._socket.makefile("rb")
        self._count = 0
        self.greeting = self.line()
        if person is not None:
            self.ok(f'LOGIN {person} "{PASSWORD}"')

    def line(self) -> bytes:
        """Return the next response with its literals, empty at the end of the connection."""
        line = self._lines.readline()
        while literal := re.search(rb"\{(\d+)\}\r\n$", line):
            line += self._lines.read(int(literal.group(1))) + self._lines.readline()
        return line.removesuffix(b"\r\n")

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def command(self, text: str | bytes) -> tuple[bytes, list[bytes]]:
        """Send a command; return its tagged answer without the tag, and the untagged ones."""
        self._count += 1
        tag = b"t%d " % self._count
        self.send(tag + (text.encode() if isinstance(text, str) else text) + b"\r\n")
        untagged: list[bytes] = []
        while not (line := self.line()).startswith(tag):
            assert line, f"the server hung up after {untagged}"
            untagged.append(line)
        return line.removeprefix(tag), untagged

    def ok(self, text: str | bytes) -> list[bytes]:
        """Send a command that must succeed; return the untagged answers."""
        answer, untagged = self.command(text)
        assert answer.startswith(b"OK"), answer
        return untagged

    def append(self, message: bytes, folder: str = "INBOX", flags: str = "") -> bytes:
        """Append a message; return the tagged answer."""
        head = f"APPEND {folder} ({flags}) {{{len(message)}+}}\r\n".encode()
        return self.command(head + message)[0]

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()


class PostfixAuth:
    """Postfix's side of the authentication protocol."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self._lines = self._socket.makefile("rb")
        self.send("VERSION\t1\t1\nCPID\t77")
        self.handshake: list[str] = []
        while not self.handshake or self.handshake[-1] != "DONE":
            self.handshake.append(self.line())

    def send(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def line(self) -> str:
        return self._lines.readline().decode().removesuffix("\n")

    def ask(self, line: str) -> str:
        self.send(line)
        return self.line()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def b64(text: str) -> str:
    """Return a text in base64."""
    return base64.b64encode(text.encode()).decode()


def plain(login: str, password: str) -> str:
    """Return what SASL PLAIN sends."""
    return b64(f"\0{login}\0{password}")


def may_read(stack: Stack, password: str, person: str = ADA) -> bool:
    """Say whether a password opens somebody's mail."""
    client = stack.connect()
    try:
        client.login(person, password)
    except client.error:
        return False
    finally:
        client.shutdown()
    return True


def may_send(stack: Stack, password: str, person: str = ADA) -> bool:
    """Say whether the directory tells Postfix that a password is right."""
    client = PostfixAuth(stack.ports.directory.auth)
    try:
        response = plain(person, password)
        answer = client.ask(f"AUTH\t1\tPLAIN\tservice=smtp\tsecured\tresp={response}")
    finally:
        client.close()
    return answer.startswith("OK\t1")

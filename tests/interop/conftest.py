"""Fixtures: the real services on loopback with TLS, one person and one client's home a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from firstboot.base.run import Completed, run
from tests.interop.messages import Letter, letters
from tests.unit.postmaster.conftest import (  # noqa: F401 - fixtures are found by their names
    certificate,
    connect,
    password_hash,
    person,
    shared_stack,
    spare_people,
)
from tests.unit.postmaster.harness import PASSWORD, RawImap, Stack

SECONDS = 600.0  # for one run of a client
BATCH_BYTES = 100 * 1024  # of one APPEND; the services of the tests take 256 KiB


@dataclass(frozen=True)
class Home:
    """Where a client keeps all that it has: nothing of the host's user is touched."""

    folder: Path
    person: str
    ports: dict[str, int]  # imap, pop3
    certificate: Path

    @property
    def password_file(self) -> Path:
        """A file with the password."""
        return self.folder / "password"

    def write(self, name: str, text: str) -> Path:
        """Write a configuration, which only its owner may read: some clients insist."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def run(self, *argv: str | Path, check: bool = True) -> Completed:
        """Run a client with this folder as its home."""
        env = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        return run(argv, env=env, cwd=self.folder, check=check, timeout=SECONDS)


@pytest.fixture
def home(tmp_path: Path, shared_stack: Stack, person: str) -> Home:  # noqa: F811
    """A client's home, for somebody with an empty mailbox."""
    ports = shared_stack.ports.mailstore
    made = Home(
        tmp_path, person, {"imap": ports.imap, "pop3": ports.pop3}, shared_stack.files.certificate
    )
    made.write("password", PASSWORD + "\n")
    return made


@pytest.fixture
def server(connect: Callable[[str | None], RawImap], person: str) -> RawImap:  # noqa: F811
    """The same mailbox seen past the client, for what happens meanwhile."""
    return connect(person)


@pytest.fixture
def mail(server: RawImap, request: pytest.FixtureRequest) -> list[Letter]:
    """Letters of all kinds, which are in the inbox."""
    made = list(letters(request.config.getoption("--messages")))
    waiting: list[Letter] = []
    for letter in [*made, None]:
        full = sum(len(other.raw) for other in waiting) > BATCH_BYTES
        if waiting and (letter is None or full):
            literals = (b" {%d+}\r\n" % len(other.raw) + other.raw for other in waiting)
            server.ok(b"APPEND INBOX" + b"".join(literals))
            waiting = []
        if letter is not None:
            waiting.append(letter)
    return made


@pytest.fixture
def few(server: RawImap) -> list[Letter]:
    """A few letters, for clients that are slow."""
    made = list(letters(12))
    for letter in made:
        assert server.append(letter.raw).startswith(b"OK")
    return made

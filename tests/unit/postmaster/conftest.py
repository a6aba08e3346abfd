"""Fixtures: the two services on fresh state, and the hash and certificate that they need."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.x509.oid import NameOID

from firstboot.base import health
from postmaster import rspamd, serving
from postmaster.directory import cache, first_logins
from postmaster.storage import opened
from tests.unit.postmaster.harness import (
    ADA,
    CHEAP,
    DEADLINE,
    PASSWORD,
    SPARE_PEOPLE,
    Files,
    RawImap,
    Stack,
    make_files,
)
from tests.unit.postmaster.machine import Machine, running_machine
from tests.unit.postmaster.pageclient import Open, PageClient


@pytest.fixture(scope="session", autouse=True)
def _patience() -> Iterator[None]:
    """What a first login leaves to do is done at once; nobody goes on without who is just slow."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(first_logins, "REST_SECONDS", 0.0)
        patched.setattr(cache, "REDIS_SECONDS", DEADLINE)
        patched.setattr(opened, "DRAIN_PATIENCE", DEADLINE)
        patched.setattr(rspamd, "SECONDS", DEADLINE)
        patched.setattr(serving, "TLS_HANDSHAKE_SECONDS", DEADLINE)
        yield


@pytest.fixture(scope="session")
def password_hash() -> str:
    """An Argon2id hash of PASSWORD, far cheaper than the settings allow."""
    argon2 = Argon2id(
        salt=b"0123456789abcdef",
        length=32,
        iterations=CHEAP.passes,
        lanes=CHEAP.lanes,
        memory_cost=CHEAP.memory,
    )
    return argon2.derive_phc_encoded(PASSWORD.encode())


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def files(tmp_path: Path, password_hash: str, certificate: tuple[Path, Path]) -> Files:
    """Fresh settings and state."""
    return make_files(tmp_path, password_hash, certificate)


@pytest.fixture
def machine(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine whose services are well."""
    monkeypatch.setattr(health, "answer_problem", lambda _host, _exchange: None)
    with running_machine(files, tmp_path) as running:
        yield running


@pytest.fixture
def start(files: Files) -> Iterator[Callable[[], Stack]]:
    """Start the services, more than once if need be; what still runs is stopped at the end."""
    started: list[Stack] = []

    def begin() -> Stack:
        started.append(Stack(files))
        return started[-1]

    yield begin
    for stack in started:
        if stack.running:
            stack.stop()


@pytest.fixture
def stack(start: Callable[[], Stack]) -> Stack:
    """Both services, running on fresh state."""
    return start()


@pytest.fixture(scope="session")
def shared_stack(
    tmp_path_factory: pytest.TempPathFactory, password_hash: str, certificate: tuple[Path, Path]
) -> Iterator[Stack]:
    """Both services for tests that touch nobody but the person they are given."""
    folder = tmp_path_factory.mktemp("shared")
    running = Stack(make_files(folder, password_hash, certificate))
    yield running
    running.stop()


@pytest.fixture
def lmtp_port(shared_stack: Stack) -> int:
    """An LMTP server for tests that deliver nothing."""
    return shared_stack.ports.mailstore.lmtp


@pytest.fixture(scope="session")
def spare_people() -> Iterator[str]:
    """People that no test has used yet."""
    return iter(SPARE_PEOPLE)


@pytest.fixture
def person(spare_people: Iterator[str]) -> str:
    """The address of somebody with an empty mailbox in the shared services."""
    return next(spare_people)


@pytest.fixture
def connect(shared_stack: Stack) -> Iterator[Callable[[str | None], RawImap]]:
    """Open raw IMAP connections to the shared services; all are closed at the end."""
    clients: list[RawImap] = []

    def begin(login: str | None) -> RawImap:
        clients.append(RawImap(shared_stack, login))
        return clients[-1]

    yield begin
    for client in clients:
        client.close()


@pytest.fixture
def imap(connect: Callable[[str | None], RawImap], person: str) -> RawImap:
    """A raw IMAP connection that is logged in as `person`."""
    return connect(person)


@pytest.fixture
def browse(stack: Stack) -> Open:
    """Open one more browser at the pages of the stack."""
    port = stack.start_admin()
    return lambda: PageClient(port)


@pytest.fixture
def ada(browse: Open) -> PageClient:
    """Ada's browser, logged in."""
    browser = browse()
    assert "Your account" in browser.sign_in(ADA, PASSWORD).text
    return browser


@pytest.fixture(scope="session")
def shared_browse(shared_stack: Stack) -> Open:
    """Open one more browser at the pages of the shared services."""
    port = shared_stack.start_admin()
    return lambda: PageClient(port)


@pytest.fixture(scope="session")
def reader(spare_people: Iterator[str]) -> str:
    """The address of somebody in the shared services of whom no test changes anything."""
    return next(spare_people)


@pytest.fixture
def somebody(shared_browse: Open, reader: str) -> PageClient:
    """The browser of `reader`, logged in."""
    browser = shared_browse()
    assert "Your account" in browser.sign_in(reader, PASSWORD).text
    return browser


@pytest.fixture
def still_reads(shared_stack: Stack, reader: str) -> Callable[[], None]:
    """Log in by IMAP as `reader`, which fails if anything has changed the password."""

    def read() -> None:
        with shared_stack.imap(reader):
            pass

    return read

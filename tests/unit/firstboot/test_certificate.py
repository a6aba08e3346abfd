"""The machine's certificate: when it is remade, and that clients accept it for its name only."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest

from firstboot.base.certificate import LIFETIME, ensure_certificate, make_certificate

NAME = "mail.example.com"
NOW = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)


def test_is_made_once(tmp_path: Path) -> None:
    made = ensure_certificate(tmp_path / "tls", NAME)
    assert ensure_certificate(tmp_path / "tls", NAME) == made
    assert (tmp_path / "tls" / "certificate.pem").read_bytes() == made.certificate
    assert (tmp_path / "tls" / "key.pem").read_bytes() == made.key
    assert (tmp_path / "tls" / "key.pem").stat().st_mode & 0o7777 == 0o600


def test_is_remade_for_another_name(tmp_path: Path) -> None:
    made = ensure_certificate(tmp_path, NAME)
    assert ensure_certificate(tmp_path, "other.example.com") != made


def test_is_remade_before_it_ends(tmp_path: Path) -> None:
    made = ensure_certificate(tmp_path, NAME, now=NOW)
    late = NOW + LIFETIME
    assert ensure_certificate(tmp_path, NAME, now=late - datetime.timedelta(days=32)) == made
    assert ensure_certificate(tmp_path, NAME, now=late - datetime.timedelta(days=30)) != made


def test_one_from_the_future_is_remade(tmp_path: Path) -> None:
    """It was made while the clock was wrong, and no client would take it for years."""
    ahead = ensure_certificate(tmp_path, NAME, now=NOW + datetime.timedelta(days=400))
    assert ensure_certificate(tmp_path, NAME, now=NOW) != ahead


@pytest.mark.parametrize("damage", ["key.pem", "certificate.pem"])
@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_is_remade_when_a_file_is_damaged_or_of_another_pair(
    tmp_path: Path, damage: str, content: bytes | None
) -> None:
    made = ensure_certificate(tmp_path, NAME)
    other = make_certificate(NAME, now=datetime.datetime.now(datetime.UTC))
    foreign = other.key if damage == "key.pem" else other.certificate
    (tmp_path / damage).write_bytes(foreign if content is None else content)
    remade = ensure_certificate(tmp_path, NAME)
    assert remade != made
    assert ensure_certificate(tmp_path, NAME) == remade


def test_takes_names_longer_than_a_common_name() -> None:
    assert make_certificate(f"{'a' * 63}.{'b' * 63}.example.com", now=NOW).certificate


@pytest.mark.parametrize(
    ("name", "accepted"), [(NAME, True), ("example.com", False), ("other.example.com", False)]
)
def test_pinned_certificate_is_accepted_for_its_name(
    tmp_path: Path, name: str, accepted: bool
) -> None:
    """With the strictest checks that OpenSSL has, which newer Pythons use by default."""
    ensure_certificate(tmp_path, NAME)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    client = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    near, far = socket.socketpair()
    thread = threading.Thread(target=_serve, args=(server, far))
    thread.start()
    try:
        with near:
            if accepted:
                client.wrap_socket(near, server_hostname=name).close()
            else:
                with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
                    client.wrap_socket(near, server_hostname=name)
    finally:
        thread.join()


def _serve(context: ssl.SSLContext, connection: socket.socket) -> None:
    try:
        context.wrap_socket(connection, server_side=True).close()
    except OSError:
        connection.close()

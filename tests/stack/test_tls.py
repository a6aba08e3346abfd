"""TLS as testssl.sh sees it: nothing old or weak on any port; and nothing said before it counts."""

from __future__ import annotations

import json
import socket
import ssl
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from firstboot.base.run import run
from tests.stack.mail import Mail
from tests.stack.people import GRACE, STRANGER
from tools.stack.example import ADA
from tools.stack.lifecycle import StackUp
from tools.stack.ports import LOOPBACK

# 587 and 995 are those before them in another way of beginning; see test_the_other_ports.
PORTS = ("smtp", "submissions", "imaps", "https")
STARTTLS = {"smtp"}
# What the suites of each list have in common is that they are weak (testssl(1), --std).
WEAK = ["NULL", "aNULL", "EXPORT", "LOW", "3DES_IDEA"]
OLD = ["SSLv2", "SSLv3", "TLS1", "TLS1_1"]
# What testssl.sh waits for an answer, in seconds (its own source, "tuning vars").
PATIENCE = ("MAX_WAITSOCK", "STARTTLS_SLEEP")
# Suites with CBC, by the names that older and newer testssl.sh have for them.
CBC = {"AVERAGE", "OBSOLETED"}


def look(stack: StackUp, service: str, folder: Path) -> Mapping[str, str]:
    """What testssl.sh finds out about protocols and kinds of suites, by its names for them."""
    file = folder / f"{service}.json"
    start = ["--starttls", "smtp"] if service in STARTTLS else []
    # It takes an answer that comes late for none, and then what is offered is not known.
    patience = ["env", *(f"{name}=60" for name in PATIENCE)]
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none"]
    only = ["--protocols", "--std", "--jsonfile", str(file)]
    # Its exit code counts what it does not like; the file says what that is.
    run(
        [*patience, *command, *only, *start, f"{LOOPBACK}:{stack.ports[service]}"],
        check=False,
        timeout=1200,
    )
    entries = json.loads(file.read_text(encoding="utf-8"))
    return {entry["id"].removeprefix("cipherlist_"): entry["finding"] for entry in entries}


@pytest.fixture(scope="module")
def seen(
    stack: StackUp, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Mapping[str, str]]:
    """What there is on each port, looked at side by side, since it is mostly waiting."""
    folder = tmp_path_factory.mktemp("testssl")
    with ThreadPoolExecutor(len(PORTS)) as pool:
        found = pool.map(lambda service: look(stack, service, folder), PORTS)
        return dict(zip(PORTS, found, strict=True))


@pytest.mark.parametrize("service", PORTS)
def test_nothing_old_and_nothing_weak(seen: Mapping[str, Mapping[str, str]], service: str) -> None:
    found = seen[service]
    bad = (*OLD, *WEAK)
    assert {name: found[name] for name in bad} == dict.fromkeys(bad, "not offered")
    assert found["TLS1_2"] == "offered"
    assert found["TLS1_3"].startswith("offered")
    assert found["STRONG"] == "offered"
    (cbc,) = (found[name] for name in CBC & found.keys())
    # For other servers the alternative would be no encryption at all.
    assert (cbc == "not offered") == (service != "smtp")


@pytest.mark.parametrize("service", ["submission", "pop3s"])
@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "aNULL:eNULL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "SHA1:SHA256:SHA384:kRSA:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM"),
        (ssl.TLSVersion.TLSv1_3, "ALL"),
    ],
    ids=["1.0", "1.1", "null", "cbc", "1.2", "1.3"],
)
def test_the_other_ports(
    stack: StackUp, service: str, version: ssl.TLSVersion, ciphers: str
) -> None:
    """They take the last two and nothing else, from a client that would do with anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with socket.create_connection((LOOPBACK, stack.ports[service]), 120) as sock:
        if service == "submission":
            with sock.makefile("rb") as answers:
                assert answers.readline().startswith(b"220 ")
                sock.sendall(b"STARTTLS\r\n")
                assert answers.readline().startswith(b"220 ")
        if ciphers in {"ECDHE+AESGCM", "ALL"}:
            with context.wrap_socket(sock) as tls:
                assert tls.version() == version.name.replace("_", ".")
        else:
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                context.wrap_socket(sock)


@pytest.mark.parametrize("service", ["smtp", "submission"])
def test_what_is_said_before_the_handshake_is_forgotten(mail: Mail, service: str) -> None:
    """Commands behind STARTTLS, which somebody on the way can put there (CVE-2011-0411)."""
    with mail.smtp(service) as smtp:
        sock = smtp.sock
        assert isinstance(sock, socket.socket)
        sock.sendall(b"STARTTLS\r\nEHLO evil.example.org\r\nMAIL FROM:<eve@example.org>\r\n")
        assert smtp.getreply()[0] == 220
        # The first answer is to the first command, and Eve is no sender.
        with (
            mail.context.wrap_socket(sock, server_hostname=mail.stack.hostname) as tls,
            tls.makefile("rb") as answers,
        ):
            for command, code in ((b"NOOP", b"250"), (b"RCPT TO:<ada@example.com>", b"503")):
                tls.sendall(command + b"\r\n")
                assert answers.readline()[:3] == code


def test_who_was_greeted_in_clear_text_begins_anew(mail: Mail) -> None:
    """A sender and a recipient named before STARTTLS are not there after it (RFC 3207, 4.2)."""
    with mail.smtp("smtp") as smtp:
        assert smtp.mail(STRANGER)[0] == 250
        assert smtp.rcpt(GRACE.address)[0] == 250
        smtp.starttls(context=mail.context)
        assert smtp.docmd("DATA")[0] == 503
        smtp.ehlo()
        assert smtp.docmd("RCPT", f"TO:<{ADA.address}>")[0] == 503

"""mpop and fetchmail take everything by POP3, byte for byte, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.conftest import Home
from tests.interop.maildir import messages
from tests.interop.messages import Letter
from tests.unit.postmaster.harness import PASSWORD, RawImap


def make_maildir(home: Home) -> Path:
    folder = home.folder / "mail"
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True)
    return folder


def mpop(home: Home, folder: Path) -> None:
    config = home.write(
        "mpoprc",
        f"""
account default
host localhost
port {home.ports["pop3"]}
tls on
tls_starttls off
tls_trust_file {home.certificate}
user {home.person}
passwordeval cat {home.password_file}
auth plain
pipelining on
delivery maildir {folder}
uidls_file {home.folder}/uidls
received_header off
keep off
""",
    )
    home.run("mpop", "-C", config, "-q")


def fetchmail(home: Home, folder: Path) -> None:
    keep = home.write("keep", f'#!/bin/sh\nexec cat > "$(mktemp {folder}/new/XXXXXXXX)"\n')
    keep.chmod(0o700)
    config = home.write(
        "fetchmailrc",
        f"""
set no bouncemail
poll localhost service {home.ports["pop3"]} protocol pop3
  user "{home.person}" password "{PASSWORD}"
  ssl sslcertck sslcertfile "{home.certificate}"
  no rewrite fetchall nokeep
  mda "{keep}"
""",
    )
    home.run("fetchmail", "-f", config, "--nosyslog", "--pidfile", home.folder / "pid")


@pytest.mark.parametrize("client", [mpop, fetchmail])
def test_everything_is_taken(
    client: Callable[[Home, Path], None], home: Home, few: list[Letter], server: RawImap
) -> None:
    folder = make_maildir(home)
    client(home, folder)
    found = messages(folder)
    assert found.keys() == {letter.id for letter in few}
    for letter in few:
        received = found[letter.id].read_bytes().replace(b"\r\n", b"\n")
        assert received.endswith(letter.raw.replace(b"\r\n", b"\n"))
    assert server.ok("STATUS INBOX (MESSAGES)") == [b'* STATUS "INBOX" (MESSAGES 0)']

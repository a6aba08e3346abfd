"""A real name server that takes updates: Knot DNS on the loopback, see knot.conf(5)."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from firstboot.base.waiting import wait_for
from firstboot.system.dnsclient import NoAnswerError, Server, ask
from firstboot.system.dnsupdate import TsigKey
from tests.unit.firstboot.dnsserver import closed_port

ADDRESS = "127.0.0.1"
KEY = TsigKey("mailstead", "hmac-sha256", "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMgb2YgdGVzdA==")
# Packages of Debian put it where only root's PATH leads.
PROGRAM = shutil.which("knotd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
CONFIGURATION = """\
server:
    rundir: "{folder}"
    listen: [ {address}@{port} ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{folder}/db"
key:
  - id: {key.name}
    algorithm: {key.algorithm}
    secret: {key.secret}
acl:
  - id: update
    key: {key.name}
    action: update
template:
  - id: default
    storage: "{folder}"
zone:
  - domain: example.com
    acl: update
"""


@dataclass(frozen=True)
class Knot:
    """A running server with the zone example.com."""

    server: Server
    key: TsigKey = KEY

    def values(self, name: str, kind: str) -> list[str]:
        return sorted(ask(self.server, name, kind, recursive=False).values)


@contextlib.contextmanager
def knot(folder: Path, zone: str) -> Iterator[Knot]:
    """Knot with `zone`, lines of a zone file without SOA, for as long as the block runs."""
    assert PROGRAM, "knotd is missing: tools/forge test unit installs it"
    (folder / "db").mkdir()
    soa = "@ 60 SOA ns1.example.net. hostmaster.example.com. 1 60 60 60 60\n"
    (folder / "example.com.zone").write_text(soa + zone)
    process, server = _start(folder)
    try:
        yield Knot(server)
    finally:
        process.terminate()
        process.wait(30)


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], Server]:
    """A process that serves; another port is taken when somebody has the first one by now."""
    for _ in range(5):
        server = Server(ADDRESS, "", closed_port(ADDRESS))
        text = CONFIGURATION.format(folder=folder, address=ADDRESS, port=server.port, key=KEY)
        (folder / "knot.conf").write_text(text)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [PROGRAM or "knotd", "-c", folder / "knot.conf"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(
            partial(_decided, process, server),
            what="a zone that is served",
            timeout=30,
            interval=0.05,
        )
        if process.poll() is None:
            return process, server
    raise AssertionError((folder / "log").read_text())


def _decided(process: subprocess.Popen[bytes], server: Server) -> bool:
    """Whether it serves, or has given up."""
    return process.poll() is not None or _serves(server)


def _serves(server: Server) -> bool:
    try:
        found = ask(server, "example.com", "SOA", recursive=False, timeout=0.2, tries=1)
    except NoAnswerError:
        return False
    return bool(found.values)

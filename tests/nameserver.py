"""Knot DNS on the loopback: a real name server, for the tests of more than one suite."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from firstboot.base.run import run
from firstboot.base.waiting import wait_for
from tools.vm.processes import Child, started

# Packages of Debian put it where only root's PATH leads.
PROGRAM = shutil.which("knotd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
KEYS = shutil.which("keymgr", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
# ECDSA P-256 with SHA-256 (RFC 6605); SHA-256 (RFC 4509).
ALGORITHM, DIGEST = "13", "2"
# What signs a zone with the key that is there, in its configuration.
SIGNED = """\
policy:
  - id: signed
    manual: on
    single-type-signing: on
template:
  - id: signed
    dnssec-signing: on
    dnssec-policy: signed
    zonefile-load: difference-no-serial
    zonefile-sync: -1
    journal-content: all
"""
# See knot.conf(5).
CONFIGURATION = """\
server:
    rundir: "{folder}"
    listen: [ 127.0.0.1@{port} ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stdout
    any: info
database:
    storage: "{folder}/db"
"""


@contextlib.contextmanager
def name_server(
    folder: Path, zones: str, *, ports: Iterable[int], within: Sequence[str] = ()
) -> Iterator[int]:
    """A server at the first of `ports` that nobody has, which it yields; `folder` has its files.

    `zones` is the rest of its configuration. `within` is the command, if any, that runs it in
    another network.
    """
    assert PROGRAM, "knotd is missing: tools/forge test installs it"
    # With keys in it, if a zone is to be signed: see `make_key`.
    (folder / "db").mkdir(exist_ok=True)
    configuration, said = folder / "knot.conf", "no port is free"
    for port in ports:
        configuration.write_text(CONFIGURATION.format(folder=folder, port=port) + zones)
        argv = [*within, PROGRAM, "-c", str(configuration)]
        with started("knotd", argv, log=folder / "log") as server:
            if _serves(server):
                yield port
                return
            said = server.log_tail()
    raise AssertionError(said)


def make_key(folder: Path, zone: str) -> str:
    """A key to sign a zone with, for a server with the same `folder`; its DS record, as data."""
    assert KEYS, "keymgr is missing: tools/forge test installs it, with knotd"
    keys = (KEYS, "-D", folder / "db/keys", zone)
    (folder / "db").mkdir(exist_ok=True)
    run([*keys, "generate", f"algorithm={ALGORITHM}", "ksk=yes", "zsk=yes"])
    found = (line.partition(" DS ")[2] for line in run([*keys, "ds"]).stdout.splitlines())
    return next(data for data in found if data.split()[2] == DIGEST)


def _serves(server: Child) -> bool:
    """Whether it has loaded its zones and answers, or has given up."""
    wait_for(
        lambda: not server.running or "server started" in server.log_tail(),
        what="a name server",
        timeout=120,
        interval=0.05,
    )
    return server.running

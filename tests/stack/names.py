"""Records for a container: Knot DNS inside its network, with a root of our own.

Docker's resolver asks 127.0.0.1 of the container (see tools/stack); there this server listens.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from firstboot.base.waiting import wait_for

# Packages of Debian put it where only root's PATH leads.
PROGRAM = shutil.which("knotd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
CONFIGURATION = """\
server:
    rundir: "{folder}"
    listen: [ 127.0.0.1@53 ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stdout
    any: info
database:
    storage: "{folder}/db"
zone:
  - domain: .
    file: "{folder}/root.zone"
"""
ZONE = "$ORIGIN .\n$TTL 60\n@ SOA a.root. hostmaster.root. 1 60 60 60 60\n@ NS a.root.\n"


def texts(
    process: int, records: Mapping[str, str], folder: Path
) -> contextlib.AbstractContextManager[None]:
    """TXT records by their names, and nothing else: see `zone`."""
    return zone(process, [f"{name} TXT {_quoted(text)}" for name, text in records.items()], folder)


@contextlib.contextmanager
def zone(process: int, records: Sequence[str], folder: Path) -> Iterator[None]:
    """Records, as lines of a zone file, in the network of a process on this host.

    Names are those of the root, with or without a dot at the end. Every other name does not exist.
    `folder` is for the server's files.
    """
    assert PROGRAM, "knotd is missing: tools/forge test installs it"
    (folder / "db").mkdir()
    (folder / "root.zone").write_text(ZONE + "".join(f"{record}\n" for record in records))
    (folder / "knot.conf").write_text(CONFIGURATION.format(folder=folder))
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["nsenter", f"--net=/proc/{process}/ns/net", PROGRAM, "-c", folder / "knot.conf"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(
            lambda: server.poll() is not None or b"server started" in log.read_bytes(),
            what="a name server",
            timeout=30,
            interval=0.05,
        )
        assert server.poll() is None, log.read_text()
        yield
    finally:
        server.terminate()
        server.wait(30)


def _quoted(text: str) -> str:
    """Strings of at most 255 bytes (RFC 1035, 3.3.14), which whoever reads them joins."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))

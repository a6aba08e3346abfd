"""Records for a container: Knot DNS inside its network, with a root of our own.

Docker's resolver asks 127.0.0.1 of the container (see tools/stack); there this server listens.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.nameserver import name_server

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
    (folder / "root.zone").write_text(ZONE + "".join(f"{record}\n" for record in records))
    zones = f'zone:\n  - domain: .\n    file: "{folder}/root.zone"\n'
    network = ("nsenter", f"--net=/proc/{process}/ns/net")
    with name_server(folder, zones, ports=[53], within=network):
        yield


def _quoted(text: str) -> str:
    """Strings of at most 255 bytes (RFC 1035, 3.3.14), which whoever reads them joins."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))

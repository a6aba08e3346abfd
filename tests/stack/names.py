"""Records for the stack: Knot DNS in the network of its resolver, with a root of our own.

Where no way leads out, the resolver has Docker's resolver asked, which asks 127.0.0.1 of the
container (see tools/stack); there this server listens.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.nameserver import SIGNED, name_server
from tests.stack.boxes import Boxes

# Nothing is kept by who asks: the next test has other records.
ZONE = "@ 0 SOA a.root. hostmaster.root. 1 60 60 60 0\n@ 0 NS a.root.\n"
THIS_HOST = "host.example.edu"


def texts(
    boxes: Boxes, records: Mapping[str, str], folder: Path
) -> contextlib.AbstractContextManager[None]:
    """TXT records by their names, and nothing else: see `zone`."""
    return zone(boxes, [f"{name} TXT {_quoted(text)}" for name, text in records.items()], folder)


@contextlib.contextmanager
def zone(
    boxes: Boxes,
    records: Sequence[str],
    folder: Path,
    *,
    below: Mapping[str, Sequence[str]] | None = None,
    signed: bool = False,
) -> Iterator[None]:
    """Records, as lines of a zone file, for all containers that look names up.

    Names are those of the root, with or without a dot at the end. This host has a name; every other
    name does not exist. `below` are further zones, whose names are relative to theirs and which the
    records have to delegate. With `signed` the root is, by the key that `make_key` has made in
    `folder`, which is for the server's files.
    """
    configuration = SIGNED if signed else ""
    zones = {".": [*records, *_this_host(boxes)], **(below or {})}
    for number, (origin, lines) in enumerate(zones.items()):
        file = folder / f"{number}.zone"
        text = "".join(f"{line}\n" for line in lines)
        file.write_text(f"$ORIGIN {origin.rstrip('.')}.\n$TTL 0\n{ZONE}{text}")
        configuration += "zone:\n" if number == 0 else ""
        configuration += f'  - domain: {origin}\n    file: "{file}"\n'
        configuration += "    template: signed\n" if signed and number == 0 else ""
    process = boxes.inspect("resolver")["State"]["Pid"]
    network = ("nsenter", f"--net=/proc/{process}/ns/net")
    with name_server(folder, configuration, ports=[53], within=network):
        forget(boxes)
        yield
    forget(boxes)


def forget(boxes: Boxes) -> None:
    """Have the resolver forget what it has found, and what it has not."""
    for words in (("flush_zone", "."), ("flush_infra", "all")):
        code, output = boxes.run("resolver", "unbound-control", "-q", *words)
        assert code == 0, output


def _this_host(boxes: Boxes) -> list[str]:
    """What tells that this host, as the containers see it, is one that has a name."""
    address = boxes.gateway("edge")
    reverse = ipaddress.ip_address(address).reverse_pointer
    return [f"{reverse} PTR {THIS_HOST}.", f"{THIS_HOST} A {address}"]


def _quoted(text: str) -> str:
    """Strings of at most 255 bytes (RFC 1035, 3.3.14), which whoever reads them joins."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))

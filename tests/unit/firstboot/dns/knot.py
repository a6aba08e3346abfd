"""A real name server that takes updates, with the zone example.com."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from firstboot.system.dnsclient import Server, ask
from firstboot.system.dnsupdate import TsigKey
from tests.nameserver import name_server
from tests.unit.firstboot.dnsserver import patient
from tests.unit.firstboot.ports import free_port

ADDRESS = "127.0.0.1"
KEY = TsigKey("mailstead", "hmac-sha256", "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMgb2YgdGVzdA==")
ZONES = """\
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
    soa = "@ 60 SOA ns1.example.net. hostmaster.example.com. 1 60 60 60 60\n"
    (folder / "example.com.zone").write_text(soa + zone)
    # Another is taken when somebody has the first one by now.
    ports = (free_port(ADDRESS) for _ in range(5))
    zones = ZONES.format(folder=folder, key=KEY)
    with name_server(folder, zones, ports=ports) as port, patient(lambda _server: False):
        yield Knot(Server(ADDRESS, "", port))

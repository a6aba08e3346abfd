"""Who is responsible for a name: delegations followed from the root, as a resolver does.

So nobody in between, whose answers may be old or made up, has a say in what a zone contains.
"""

from __future__ import annotations

import ipaddress
import queue
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from firstboot.system.dnsclient import (
    TRIES,
    TRY_SECONDS,
    Answer,
    NoAnswerError,
    Referral,
    Server,
    SilentError,
    ask,
)
from firstboot.system.outgoing import outgoing_address

# The root servers' addresses (IANA, named.root): where everybody begins.
ROOTS = {
    "a.root-servers.net": ("198.41.0.4", "2001:503:ba3e::2:30"),
    "b.root-servers.net": ("170.247.170.2", "2801:1b8:10::b"),
    "d.root-servers.net": ("199.7.91.13", "2001:500:2d::d"),
    "e.root-servers.net": ("192.203.230.10", "2001:500:a8::e"),
    "f.root-servers.net": ("192.5.5.241", "2001:500:2f::f"),
    "i.root-servers.net": ("192.36.148.17", "2001:7fe::53"),
    "k.root-servers.net": ("193.0.14.129", "2001:7fd::1"),
    "l.root-servers.net": ("199.7.83.42", "2001:500:9f::42"),
    "m.root-servers.net": ("202.12.27.33", "2001:dc3::35"),
}
# Real delegations are far below; whoever exceeds these leads in circles.
MOST_STEPS = 20
MOST_DEPTH = 5
MOST_ALIASES = 5
# Of a zone's servers, and of those of them that do not answer before it is given up.
MOST_SERVERS = 8
MOST_SILENT = 3
AT_A_TIME = 3


@dataclass(frozen=True)
class Zone:
    """A zone as its parent delegates it. `servers` has one entry for each address."""

    name: str
    servers: tuple[Server, ...]


def root_servers() -> tuple[Server, ...]:
    """The root servers in random order, of the IP versions that this machine has a route for."""
    versions = usable_versions()
    found = [
        Server(address, name)
        for name, addresses in ROOTS.items()
        for address in addresses
        if ipaddress.ip_address(address).version in versions
    ]
    random.shuffle(found)
    return tuple(found)


def usable_versions() -> frozenset[int]:
    """The versions of IP that this machine has a route to the Internet for."""
    return frozenset(version for version in (4, 6) if outgoing_address(version) is not None)


@dataclass
class Authorities:
    """Finds zones, and remembers them; may be used by several threads."""

    roots: tuple[Server, ...] = field(default_factory=root_servers)
    versions: frozenset[int] = field(default_factory=usable_versions)
    port: int = 53
    timeout: float = TRY_SECONDS
    _zones: dict[str, Zone] = field(default_factory=dict, init=False)
    _unreachable: dict[str, str] = field(default_factory=dict, init=False)  # why, by zone
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)

    def zone_of(self, name: str) -> Zone:
        """The zone that `name` is in, and its servers.

        Raises NoAnswerError when a delegation on the way cannot be followed.
        """
        with self._lock:
            return self._zone_of(name, 0)

    def lookup(self, name: str, kind: str) -> Answer:
        """What the first server that answers says, aliases followed; raises NoAnswerError."""
        with self._lock:
            return self._lookup(name, kind, 0)

    def _zone_of(self, name: str, depth: int) -> Zone:
        if not self.roots:
            raise NoAnswerError("the machine has no route to the Internet")
        zone = self._nearest(name)
        for _ in range(MOST_STEPS):
            answer = self._first(zone, name, "SOA")
            if answer.referral is None:
                return zone
            zone = self._delegated(answer.referral, depth)
            self._zones[zone.name] = zone
        raise NoAnswerError(f"the delegation of {name} leads in circles")

    def _nearest(self, name: str) -> Zone:
        known = [zone for zone in self._zones.values() if is_within(name, zone.name)]
        return max(known, key=lambda zone: len(zone.name), default=Zone(".", self.roots))

    def _first(self, zone: Zone, name: str, kind: str) -> Answer:
        """The first answer to make use of: authoritative, or a delegation further down.

        A zone whose servers are out of reach is not asked again: nobody waits for it twice.
        """
        if zone.name in self._unreachable:
            raise NoAnswerError(self._unreachable[zone.name])
        problems: list[str] = []
        silent, erring = 0, False
        for server, said in self._said(zone, name, kind):
            if isinstance(said, Answer):
                if _is_useful(said, name, zone):
                    return said
                problems.append(_strange(server, zone))
                continue
            if not isinstance(said, NoAnswerError):
                raise said
            problems.append(said.message)
            if not isinstance(said, SilentError):
                erring = True
                continue
            silent += 1
            if silent == MOST_SILENT:
                break
        shown = "; ".join(problems) or "it has no name servers that can be reached"
        message = f"zone {zone.name}: {shown}"
        if not erring:
            self._unreachable[zone.name] = message
        raise NoAnswerError(message)

    def _said(
        self, zone: Zone, name: str, kind: str
    ) -> Iterator[tuple[Server, Answer | Exception]]:
        """What the servers of a zone say, as it comes; some are asked at once."""
        tries = TRIES if len(zone.servers) == 1 else 1
        said: queue.SimpleQueue[tuple[Server, Answer | Exception]] = queue.SimpleQueue()

        def question(server: Server) -> None:
            try:
                answer = ask(server, name, kind, recursive=False, timeout=self.timeout, tries=tries)
                said.put((server, answer))
            except Exception as error:
                # Whatever it is, somebody waits for it.
                said.put((server, error))

        for first in range(0, len(zone.servers), AT_A_TIME):
            some = zone.servers[first : first + AT_A_TIME]
            for server in some:
                threading.Thread(target=question, args=(server,), daemon=True).start()
            for _ in some:
                yield said.get()

    def _delegated(self, referral: Referral, depth: int) -> Zone:
        # Addresses count only from whoever is responsible for the names that they belong to.
        above = referral.zone.partition(".")[2] or "."
        glue = [entry for entry in referral.glue if is_within(entry[0], above)]
        servers: list[Server] = []
        problems: list[str] = []
        for name in sorted(referral.servers):
            addresses = [address for owner, address in glue if owner == name]
            try:
                found = addresses or list(self._addresses(name, depth))
            except NoAnswerError as error:
                problems.append(error.message)
                continue
            servers += [
                Server(address, name, self.port)
                for address in found
                if ipaddress.ip_address(address).version in self.versions
            ]
        if not servers:
            shown = "; ".join(problems) or "none has an address that can be reached"
            raise NoAnswerError(f"the name servers of {referral.zone} are not to be found: {shown}")
        return Zone(referral.zone, tuple(servers[:MOST_SERVERS]))

    def _addresses(self, name: str, depth: int) -> Iterator[str]:
        if depth >= MOST_DEPTH:
            raise NoAnswerError(f"the addresses of {name} depend on too many other names")
        for kind, version in (("A", 4), ("AAAA", 6)):
            if version in self.versions:
                yield from self._lookup(name, kind, depth + 1).values

    def _lookup(self, name: str, kind: str, depth: int) -> Answer:
        for _ in range(MOST_ALIASES):
            answer = self._first(self._zone_of(name, depth), name, kind)
            if answer.values or not answer.alias:
                return answer
            name = answer.alias
        raise NoAnswerError(f"{name} is an alias of too many others")


def _is_useful(answer: Answer, name: str, zone: Zone) -> bool:
    """Whether it is authoritative, or a delegation further down that leads to the name."""
    down = answer.referral
    if down is not None and down.zone != zone.name and is_within(down.zone, zone.name):
        return is_within(name, down.zone)
    return answer.authoritative and down is None


def _strange(server: Server, zone: Zone) -> str:
    """An answer by which nobody is led further."""
    if zone.name == ".":
        return f"{server} did not answer itself: something on the way did so in its place"
    return f"{server} does not know the zone {zone.name}"


def is_within(name: str, zone: str) -> bool:
    """Whether a name is that of a zone, or below it."""
    return zone == "." or f".{name}".endswith(f".{zone}")

"""A small Internet on the loopback: DNS servers over UDP and TCP that can also misbehave."""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import dns.flags
import dns.message
import dns.name
import dns.node
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest

from firstboot.system import dnsclient
from firstboot.system.authority import Authorities
from firstboot.system.dnsclient import Server
from tests.unit.firstboot.ports import free_port

Mood = Literal[
    "honest", "silent", "servfail", "refused", "garbage", "lame", "other question", "cut"
]
# To get nothing from these takes as long as somebody waits.
_WITHOUT_ANSWER = {"silent", "garbage", "other question"}
SECONDS = 60.0  # for an answer, which comes at once

ROOT, FIRST, SECOND, RESOLVER = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
_SOA = "@ 60 SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60\n"
ROOT_ZONE = """\
@ 60 NS a.root.
a.root. 60 A 127.0.0.1
"""
COM_ZONE = """\
@ 60 NS a.root.
example 60 NS ns1.example.net.
example 60 NS ns2.example
ns2.example 60 A 127.0.0.3
"""
NET_ZONE = """\
@ 60 NS a.root.
ns1.example 60 A 127.0.0.2
"""
REVERSE_ZONE = """\
@ 60 NS a.root.
10.2.0.192.in-addr 60 PTR mail.example.com.
"""


@dataclass
class NameServer:
    """One server; its zones and its mood can be changed while it runs."""

    address: str
    port: int
    zones: dict[str, dns.zone.Zone] = field(default_factory=dict)
    mood: Mood = "honest"
    recursive: bool = False
    # Addresses that it claims to know for names that are none of its business.
    claims: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, bool]] = field(default_factory=list)

    @property
    def server(self) -> Server:
        return Server(self.address, "", self.port)

    def serve(self, origin: str, text: str) -> None:
        """Answer for a zone from now on; `text` is a zone file without SOA."""
        self.zones[origin] = dns.zone.from_text(
            _SOA + text, origin=f"{origin.rstrip('.')}.", relativize=False, check_origin=False
        )

    def respond(self, data: bytes, *, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((question.name.to_text(True), kind, tcp))
        if self.mood == "silent":
            return None
        if self.mood == "garbage":
            return data[:2] + b"\xff\xff\xff"
        response = dns.message.make_response(query, recursion_available=self.recursive)
        if self.mood in {"servfail", "refused"}:
            response.set_rcode(dns.rcode.from_text(self.mood))
            return response.to_wire()
        assert isinstance(response, dns.message.QueryMessage)
        self._fill(response, question.name, question.rdtype)
        if self.mood == "cut" and not tcp:
            response.answer.clear()
            response.flags |= dns.flags.TC
        if self.mood == "lame":
            response.flags &= ~dns.flags.AA
        if self.mood == "other question":
            response.question[0].name = dns.name.from_text("other.example.com.")
        return response.to_wire()

    def _fill(
        self, response: dns.message.QueryMessage, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> None:
        zones = [zone for zone in self.zones.values() if name.is_subdomain(_origin(zone))]
        if not zones:
            response.set_rcode(dns.rcode.REFUSED)
            return
        zone = max(zones, key=lambda zone: len(_origin(zone).labels))
        if not self._refer(response, zone, name):
            response.flags |= dns.flags.AD if self.recursive else dns.flags.AA
            self._answer(response, zone, name, kind)

    def _refer(
        self, response: dns.message.QueryMessage, zone: dns.zone.Zone, name: dns.name.Name
    ) -> bool:
        above = name
        while above != _origin(zone):
            servers = zone.get_rrset(above, "NS")
            if servers is not None:
                response.authority.append(servers)
                for server in servers:
                    glue = zone.get_rrset(server.target, "A")
                    if glue is not None:
                        response.additional.append(glue)
                for owner, address in self.claims.items():
                    response.additional.append(dns.rrset.from_text(owner, 60, "IN", "A", address))
                return True
            above = above.parent()
        return False

    def _answer(
        self,
        response: dns.message.QueryMessage,
        zone: dns.zone.Zone,
        name: dns.name.Name,
        kind: dns.rdatatype.RdataType,
    ) -> None:
        found = zone.get_rrset(name, kind)
        wild = zone.get_rrset(dns.name.Name((b"*", *_origin(zone).labels)), kind)
        if wild is not None and not any(node.is_subdomain(name) for node in zone.nodes):
            found = dns.rrset.from_rdata_list(name, wild.ttl, list(wild))
        alias = zone.get_rrset(name, "CNAME")
        if found is not None:
            response.answer.append(found)
        elif alias is not None:
            response.answer.append(alias)
            target = alias[0].target
            again = any(target == rrset.name for rrset in response.answer)
            if not again and target.is_subdomain(_origin(zone)):
                self._answer(response, zone, target, kind)
        else:
            soa = zone.get_rrset(_origin(zone), "SOA")
            assert soa is not None
            response.authority.append(soa)
            if not any(node.is_subdomain(name) for node in zone.nodes):
                response.set_rcode(dns.rcode.NXDOMAIN)


@dataclass
class Internet:
    """A root, which also has com and net; two servers of example.com; a public resolver."""

    root: NameServer
    first: NameServer
    second: NameServer
    resolver: NameServer
    # Seconds that somebody waits for those who do not answer; tests with such servers have less.
    patience: float = 30.0

    def authorities(self) -> Authorities:
        roots = (Server(ROOT, "a.root", self.root.port),)
        return Authorities(roots, frozenset({4}), self.root.port, self.patience)

    def publish(self, text: str) -> None:
        """What example.com's servers, and the resolver, say from now on."""
        for server in (self.first, self.second, self.resolver):
            server.serve("example.com", text)


@contextlib.contextmanager
def patient(is_silent: Callable[[Server], bool]) -> Iterator[None]:
    """Have everybody waited for as long as it takes, but those who are silent on purpose."""
    real = dnsclient._exchange

    def exchange(
        query: dns.message.Message, server: Server, what: str, timeout: float, tries: int
    ) -> dns.message.Message:
        seconds = timeout if is_silent(server) else SECONDS
        return real(query, server, what, seconds, tries)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dnsclient, "_exchange", exchange)
        yield


@contextlib.contextmanager
def internet() -> Iterator[Internet]:
    with _same_port(ROOT, FIRST, SECOND, RESOLVER) as servers:
        root, first, second, resolver = servers
        made = Internet(root, first, second, resolver)
        made.root.serve(".", ROOT_ZONE)
        made.root.serve("com", COM_ZONE)
        made.root.serve("net", NET_ZONE)
        made.root.serve("arpa", REVERSE_ZONE)
        made.resolver.recursive = True
        made.resolver.serve("arpa", REVERSE_ZONE)
        made.publish("@ 60 NS ns1.example.net.\n@ 60 NS ns2\nns2 60 A 127.0.0.3\n")
        with patient(
            lambda asked: any(
                one.mood in _WITHOUT_ANSWER and asked.address == one.address for one in servers
            )
        ):
            yield made


@contextlib.contextmanager
def _same_port(*addresses: str) -> Iterator[list[NameServer]]:
    """A server at each address, all with one port, as in the real world."""
    for last in (*(False,) * 20, True):
        stack = contextlib.ExitStack()
        try:
            port = free_port(addresses[0])
            servers = [stack.enter_context(_name_server(address, port)) for address in addresses]
        except OSError:
            # Somebody has it at another of the addresses, or for TCP.
            stack.close()
            if last:
                raise
            continue
        with stack:
            yield servers
        return


@contextlib.contextmanager
def _name_server(address: str, port: int) -> Iterator[NameServer]:
    with contextlib.ExitStack() as stack:
        server = NameServer(address, port)
        for kind in (_Udp, _Tcp):
            part = stack.enter_context(kind((address, port), kind.Handler))
            part.name_server = server
            thread = threading.Thread(target=part.serve_forever, args=(0.004,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(part.shutdown)
        yield server


class _Server(socketserver.BaseServer):
    name_server: NameServer


class _Udp(_Server, socketserver.ThreadingUDPServer):
    class Handler(socketserver.BaseRequestHandler):
        server: _Udp

        def handle(self) -> None:
            data, connection = self.request
            answer = self.server.name_server.respond(data, tcp=False)
            if answer is not None:
                connection.sendto(answer, self.client_address)


class _Tcp(_Server, socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    class Handler(socketserver.StreamRequestHandler):
        server: _Tcp

        def handle(self) -> None:
            (length,) = struct.unpack("!H", self.rfile.read(2))
            answer = self.server.name_server.respond(self.rfile.read(length), tcp=True)
            if answer is not None:
                self.wfile.write(struct.pack("!H", len(answer)) + answer)


def _origin(zone: dns.zone.Zone) -> dns.name.Name:
    assert zone.origin is not None
    return zone.origin

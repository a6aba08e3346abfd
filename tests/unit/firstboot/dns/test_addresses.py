"""Where the public addresses come from, with and without address translation in between."""

from __future__ import annotations

import ipaddress

import pytest

from firstboot.base.dnsrules import is_public
from firstboot.dns.addresses import Addresses, find_addresses
from firstboot.system.dnsclient import Answer, NoAnswerError
from firstboot.system.outgoing import outgoing_address, outgoing_addresses
from tests.unit.firstboot.dns.samples import settings


def find(*own: str, record: str | Exception = "", more: str = "") -> Addresses:
    def lookup(name: str, kind: str) -> Answer:
        assert (name, kind) == ("mail.example.com", "A")
        if isinstance(record, Exception):
            raise record
        return Answer((record,) if record else (), bool(record), 60, True, False, "", None)

    ips = tuple(map(ipaddress.ip_address, own))
    return find_addresses(settings(more), lambda: ips, lookup)


def shown(found: Addresses) -> tuple[list[str], str]:
    return [str(ip) for ip in found.ips], found.source


def test_public_addresses_of_the_interfaces() -> None:
    found = find("2001:db8::10", "192.0.2.10")
    assert shown(found) == (["192.0.2.10", "2001:db8::10"], "interfaces")
    assert found.note == ""


def test_only_ipv6() -> None:
    assert shown(find("2001:db8::10")) == (["2001:db8::10"], "interfaces")


def test_settings_come_first() -> None:
    found = find("10.0.0.5", more="dns: {addresses: ['2001:db8::1', 198.51.100.1]}\n")
    assert shown(found) == (["198.51.100.1", "2001:db8::1"], "settings")


@pytest.mark.parametrize("private", ["10.0.2.15", "192.168.1.2", "172.31.0.1", "100.64.3.4"])
def test_behind_a_router_the_owner_s_record_counts(private: str) -> None:
    found = find(private, "2001:db8::10", record="198.51.100.1")
    assert shown(found) == (["198.51.100.1", "2001:db8::10"], "records")
    assert private in found.note
    assert "198.51.100.1, as the A record says" in found.note


@pytest.mark.parametrize("record", ["", "192.168.1.2", NoAnswerError("x did not answer")])
def test_behind_a_router_nothing_may_be_known(record: str | Exception) -> None:
    found = find("192.168.1.2", record=record)
    assert shown(found) == ([], "unknown")
    assert "dns.addresses" in found.note


def test_no_network() -> None:
    found = find()
    assert shown(found) == ([], "unknown")
    assert "no public address" in found.note


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("192.0.2.10", True),
        ("2001:db8::10", True),
        ("8.8.8.8", True),
        ("127.0.0.1", False),
        ("169.254.1.1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::", False),
        ("224.0.0.1", False),
    ],
)
def test_public_or_not(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


def test_the_kernel_knows_the_way_out() -> None:
    for address in outgoing_addresses():
        assert outgoing_address(address.version) == address
        assert not address.is_loopback

"""Checks of the network, against fakes of ip(8) and sysfs, and real servers on the loopback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from firstboot.checks import network
from firstboot.checks.machine import Bare
from firstboot.system.dnsclient import Server
from firstboot.system.iproute import Gateway, answers, default_gateways
from firstboot.system.links import Link, read_links
from firstboot.system.resolved import upstream_servers
from tests.unit.firstboot.checks.greeter import greeter
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.dnsserver import Internet, Mood
from tests.unit.firstboot.ports import free_port

Make = Callable[..., Bare]


def add_link(interfaces: Path, name: str, carrier: str | None, *, device: bool = True) -> None:
    (interfaces / name).mkdir(parents=True)
    if device:
        (interfaces / name / "device").mkdir()
    if carrier is not None:
        (interfaces / name / "carrier").write_text(carrier)


def test_links(tmp_path: Path) -> None:
    add_link(tmp_path, "lo", "1\n", device=False)
    add_link(tmp_path, "enp2s0", None)
    add_link(tmp_path, "enp1s0", "1\n")
    add_link(tmp_path, "enp3s0", "0\n")
    assert read_links(tmp_path) == (
        Link("enp1s0", True),
        Link("enp2s0", False),
        Link("enp3s0", False),
    )


@pytest.mark.parametrize(
    ("links", "state", "measured"),
    [
        ((Link("enp1s0", True), Link("enp2s0", False)), "pass", "up: enp1s0"),
        ((Link("enp1s0", False),), "fail", "none is up of: enp1s0"),
        ((), "fail", "there is no network interface"),
    ],
)
def test_link(
    bare: Make,
    monkeypatch: pytest.MonkeyPatch,
    links: tuple[Link, ...],
    state: str,
    measured: str,
) -> None:
    monkeypatch.setattr(network, "read_links", lambda: links)
    result = network.check_link(bare())
    assert (result.state, result.measured) == (state, measured)
    assert bool(result.what_to_do) == (state != "pass")


@pytest.mark.parametrize(
    ("addresses", "state", "measured"),
    [
        (["192.0.2.10", "2001:db8::10"], "pass", "192.0.2.10, 2001:db8::10"),
        (["10.0.0.2"], "pass", "10.0.0.2; no IPv6"),
        (["2001:db8::10"], "warn", "2001:db8::10; no IPv4"),
        ([], "fail", "no address with a route to the Internet"),
    ],
)
def test_addresses(bare: Make, addresses: list[str], state: str, measured: str) -> None:
    result = network.check_addresses(bare(*addresses))
    assert (result.state, result.measured) == (state, measured)


@pytest.mark.parametrize(
    ("addresses", "state", "measured"),
    [
        (["192.0.2.10", "2001:db8::10"], "pass", "192.0.2.10, 2001:db8::10"),
        (["2001:db8::10"], "pass", "2001:db8::10"),
        (["10.0.0.2", "2001:db8::10"], "warn", "behind address translation: 10.0.0.2"),
        (["100.64.0.2"], "warn", "behind address translation: 100.64.0.2"),
        ([], "fail", "none"),
    ],
)
def test_public_address(bare: Make, addresses: list[str], state: str, measured: str) -> None:
    result = network.check_public_address(bare(*addresses))
    assert (result.state, result.measured) == (state, measured)


ROUTES = """\
case "$2 $3" in
"-4 route") echo '[{"dst":"default","gateway":"127.0.0.1","dev":"lo","protocol":"dhcp"}]' ;;
"-6 route") echo '[]' ;;
*) echo '[{"dst":"127.0.0.1","state":["STATE"]}]' ;;
esac
"""


@pytest.mark.parametrize("known", ["REACHABLE", "STALE", "PERMANENT"])
def test_gateway_that_answers(bare: Make, programs: FakePrograms, known: str) -> None:
    programs.add("ip", ROUTES.replace("STATE", known))
    result = network.check_gateway(bare())
    assert (result.state, result.measured) == ("pass", "127.0.0.1 (lo) answers")


@pytest.mark.parametrize("unknown", ["FAILED", "INCOMPLETE"])
def test_gateway_that_does_not_answer(
    bare: Make, programs: FakePrograms, monkeypatch: pytest.MonkeyPatch, unknown: str
) -> None:
    programs.add("ip", ROUTES.replace("STATE", unknown))
    monkeypatch.setattr(network, "NEIGHBOUR_SECONDS", 0.3)
    result = network.check_gateway(bare())
    assert (result.state, result.measured) == ("fail", "127.0.0.1 (lo) does not answer")
    assert "network.gateways" in result.what_to_do


def test_no_gateway(bare: Make, programs: FakePrograms) -> None:
    programs.add("ip", "echo '[]'")
    assert network.check_gateway(bare()).measured == "no default route"


OTHER_ROUTES = """\
[{"dst": "default", "via": {"family": "inet6", "host": "fe80::1"}, "dev": "eth0"},
 {"dst": "default", "dev": "wg0"}]"""


def test_other_forms_of_routes(programs: FakePrograms) -> None:
    programs.add("ip", f"case $2 in -4) echo '{OTHER_ROUTES}' ;; esac")
    direct = Gateway(None, "wg0")
    assert default_gateways() == (Gateway("fe80::1", "eth0"), direct)
    assert answers(direct)


def test_upstream_servers(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    assert upstream_servers(path) == ()
    path.write_text("# comment\nnameserver 192.0.2.53\nnameserver x\nnameserver\nsearch a\n")
    assert upstream_servers(path) == (Server("192.0.2.53"),)


def test_resolver(bare: Make, net: Internet) -> None:
    result = network.check_resolver(bare(resolvers=lambda: (net.resolver.server,)))
    assert (result.state, result.measured) == ("pass", "127.0.0.4 answers and checks DNSSEC")


def test_resolver_without_dnssec(bare: Make, net: Internet) -> None:
    # An authoritative server does not say that it has checked anything.
    net.root.serve(".", "@ 60 NS a.root.\n")
    result = network.check_resolver(bare(resolvers=lambda: (net.root.server,)))
    assert (result.state, result.measured) == (
        "pass",
        "127.0.0.1 answers and does not check DNSSEC",
    )


def test_resolver_that_makes_up_addresses(bare: Make, net: Internet) -> None:
    net.resolver.serve("com", "@ 60 NS a.root.\n*.com. 60 A 198.51.100.1\n")
    result = network.check_resolver(bare(resolvers=lambda: (net.resolver.server,)))
    assert result.state == "fail"
    assert result.measured == "127.0.0.4 makes up addresses for names that do not exist"


@pytest.mark.parametrize("mood", ["servfail", "refused"])
def test_resolvers_that_do_not_answer(bare: Make, net: Internet, mood: Mood) -> None:
    both = (net.second.server, net.resolver.server)
    net.second.mood = mood
    result = network.check_resolver(bare(resolvers=lambda: both))
    assert (result.state, result.measured) == ("warn", f"127.0.0.3 answered {mood.upper()}")
    net.resolver.mood = mood
    assert network.check_resolver(bare(resolvers=lambda: both)).state == "fail"


def test_no_resolver(bare: Make) -> None:
    assert network.check_resolver(bare()).state == "fail"


def test_somebody_answers_for_nobody(bare: Make) -> None:
    with greeter(b"HTTP/1.1 302 Found\r\n") as port:
        around = {"nobody": "127.0.0.1", "http": port, "smtp": free_port("127.0.0.1")}
        result = network.check_interception(bare(**around))
    assert result.state == "warn"
    assert result.measured == "somebody answers for 127.0.0.1 (web), which nobody has"
    assert network.check_interception(bare(**around)).state == "pass"

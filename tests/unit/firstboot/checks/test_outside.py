"""How the world sees the machine: reverse DNS, blocklists and ports, all on the loopback."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from firstboot.base.errors import MailsteadError
from firstboot.checks import outside
from firstboot.checks.machine import Bare, Machine
from firstboot.checks.targets import BLOCKLISTS, MAIL_TARGETS
from firstboot.system.sockets import Listener
from tests.unit.firstboot.dnsserver import Internet

Make = Callable[..., Bare]
SetUp = Callable[..., Machine]
PTR = "@ 60 NS a.root.\n10.2.0.192.in-addr 60 PTR mail.example.com.\n"
HOST = "@ 60 NS a.root.\nmail 60 A 192.0.2.10\nother 60 A 192.0.2.10\n"
LIST = "bl.example.net"
# RFC 5782, 5: the entry that every list has.
ENTRIES = "@ 60 NS a.root.\n2.0.0.127 60 A 127.0.0.2\n"


def around(net: Internet, **more: object) -> dict[str, object]:
    return {"resolvers": lambda: (net.resolver.server,), "blocklists": (LIST,), **more}


@pytest.mark.parametrize(
    ("ptr", "state", "measured"),
    [
        (PTR, "pass", "192.0.2.10 is mail.example.com"),
        (PTR.replace("mail", "other"), "warn", "192.0.2.10 is other.example.com, not mail.exampl"),
        (PTR.replace("mail", "gone"), "fail", "which does not lead back to it"),
        ("@ 60 NS a.root.\n", "fail", "192.0.2.10 has no name"),
    ],
)
def test_reverse_dns(set_up: SetUp, net: Internet, ptr: str, state: str, measured: str) -> None:
    net.resolver.serve("arpa", ptr)
    net.resolver.serve("example.com", HOST)
    result = outside.check_reverse_dns(set_up("192.0.2.10", **around(net)))
    assert result.state == state
    assert measured in result.measured


def test_reverse_dns_before_the_setup_can_still_be_arranged(bare: Make, net: Internet) -> None:
    net.resolver.serve("arpa", "@ 60 NS a.root.\n")
    assert outside.check_reverse_dns(bare("192.0.2.10", **around(net))).state == "warn"
    assert outside.check_reverse_dns(bare("10.0.0.2", **around(net))).state == "warn"


def test_reverse_dns_of_the_address_in_the_settings(set_up: SetUp, net: Internet) -> None:
    net.resolver.serve("example.com", HOST)
    more = "dns: {addresses: [192.0.2.10]}\n"
    result = outside.check_reverse_dns(set_up("10.0.0.2", more=more, **around(net)))
    assert result.state == "pass"


def test_a_resolver_that_does_not_answer_is_told(set_up: SetUp, net: Internet) -> None:
    net.resolver.mood = "servfail"
    for check in (outside.check_reverse_dns, outside.check_blocklists):
        with pytest.raises(MailsteadError, match="SERVFAIL"):
            check(set_up("192.0.2.10", **around(net)))


@pytest.mark.parametrize(
    ("entries", "state", "measured"),
    [
        (ENTRIES, "pass", f"on none of: {LIST}"),
        (f"{ENTRIES}10.2.0.192 60 A 127.0.0.3\n", "fail", f"192.0.2.10 is on {LIST} (127.0.0.3)"),
        # A list that refuses says so by an address, or does not know the test entry.
        ("@ 60 NS a.root.\n* 60 A 127.255.255.254\n", "warn", f"could not be asked: {LIST}"),
        ("@ 60 NS a.root.\n", "warn", f"could not be asked: {LIST}"),
        # Whoever makes up addresses does not put anybody on a list.
        ("@ 60 NS a.root.\n* 60 A 198.51.100.1\n", "warn", f"could not be asked: {LIST}"),
        (f"{ENTRIES}10.2.0.192 60 A 198.51.100.1\n", "pass", f"on none of: {LIST}"),
    ],
)
def test_blocklists(bare: Make, net: Internet, entries: str, state: str, measured: str) -> None:
    net.resolver.serve(LIST, entries)
    result = outside.check_blocklists(bare("192.0.2.10", "2001:db8::10", **around(net)))
    assert (result.state, result.measured) == (state, measured)


def test_one_list_that_refuses_does_not_hide_another(bare: Make, net: Internet) -> None:
    net.resolver.serve(LIST, ENTRIES)
    lists = around(net) | {"blocklists": ("refuses.example.net", LIST)}
    result = outside.check_blocklists(bare("192.0.2.10", **lists))
    assert result.state == "pass"
    assert result.measured == f"on none of: {LIST}; could not be asked: refuses.example.net"


def test_no_list_is_asked_about_a_private_address(bare: Make, net: Internet) -> None:
    result = outside.check_blocklists(bare("192.168.1.2", **around(net)))
    assert result.state == "warn"
    assert net.resolver.asked == []


def test_ports_in_of_a_public_address(set_up: SetUp, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {Listener("::", 587), Listener("127.0.0.1", 993)}
    monkeypatch.setattr(outside, "listening", lambda: found)
    result = outside.check_ports_in(set_up("192.0.2.10"))
    assert (result.state, result.measured) == ("fail", "nobody listens on 993")
    found.add(Listener("::", 993))
    result = outside.check_ports_in(set_up("192.0.2.10"))
    assert result.state == "pass"
    assert result.measured.startswith("open here: 587 993; ")


def test_ports_in_through_a_router(set_up: SetUp, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def connects(host: str, port: int, timeout: float) -> bool:
        asked.append((host, port))
        return port == 587

    monkeypatch.setattr(outside, "connects", connects)
    more = "dns: {addresses: [192.0.2.10]}\n"
    result = outside.check_ports_in(set_up("10.0.0.2", more=more))
    assert result.state == "warn"
    assert result.measured == "from inside, 192.0.2.10 does not answer on 993"
    assert asked == [("192.0.2.10", 587), ("192.0.2.10", 993)]
    assert outside.check_ports_in(set_up("10.0.0.2")).state == "warn"


def test_every_target_is_a_name_of_its_owner() -> None:
    for target in MAIL_TARGETS:
        assert target.host.endswith(f".{target.owner}")
    assert len(set(BLOCKLISTS)) == len(BLOCKLISTS)

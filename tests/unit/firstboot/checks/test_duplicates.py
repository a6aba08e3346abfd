"""Addresses that somebody else has: two machines on one cable, each a network namespace."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firstboot.base.errors import MachineError
from firstboot.base.run import run
from firstboot.base.waiting import wait_for
from firstboot.checks import duplicates as check
from firstboot.checks.machine import Machine
from firstboot.system import duplicates
from firstboot.system.duplicates import Taken, find_taken
from firstboot.system.iproute import failed_addresses
from firstboot.system.links import Link
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.test_firewall import ROOT, inside

STATIC = (
    "network: {method: static, addresses: [192.0.2.10/24], gateways: [192.0.2.1], dns: [192.0.2.1]}"
)
IPV6 = "2001:db8::10"


@dataclass(frozen=True)
class Neighbours:
    """Two namespaces on one cable, called `wire` at both ends; `hardware` is the other's."""

    machine: str
    other: str
    hardware: str

    def give(self, whom: str, address: str) -> None:
        run(["ip", "-n", whom, "address", "add", address, "dev", "wire"])

    def find(self, *addresses: str) -> tuple[Taken, ...]:
        return inside(self.machine, lambda: find_taken(addresses, ("wire",)))


@pytest.fixture
def neighbours() -> Iterator[Neighbours]:
    if not ROOT:
        pytest.skip("only root can join two network namespaces")
    name, hardware = f"mailstead-{os.getpid()}", "52:54:00:12:34:56"
    made = Neighbours(f"{name}-one", f"{name}-two", hardware)
    try:
        for namespace in (made.machine, made.other):
            run(["ip", "netns", "add", namespace])
        peer = ["type", "veth", "peer", "name", "wire", "address", hardware, "netns", made.other]
        run(["ip", "-n", made.machine, "link", "add", "wire", *peer])
        for namespace in (made.machine, made.other):
            run(["ip", "-n", namespace, "link", "set", "wire", "up"])
        yield made
    finally:
        for namespace in (made.machine, made.other):
            run(["ip", "netns", "delete", namespace], check=False)


def test_who_has_an_address_is_found_before_it_is_used(neighbours: Neighbours) -> None:
    neighbours.give(neighbours.other, "192.0.2.10/24")
    assert neighbours.find("192.0.2.10/24", "192.0.2.11/24") == (
        Taken("192.0.2.10", neighbours.hardware),
    )


def test_who_has_it_is_found_when_both_use_it_and_oneself_is_nobody_else(
    neighbours: Neighbours,
) -> None:
    neighbours.give(neighbours.machine, "192.0.2.10/24")
    assert neighbours.find("192.0.2.10/24") == ()
    neighbours.give(neighbours.other, "192.0.2.10/24")
    assert neighbours.find("192.0.2.10/24") == (Taken("192.0.2.10", neighbours.hardware),)


def test_an_ipv6_address_that_somebody_has(neighbours: Neighbours) -> None:
    neighbours.give(neighbours.other, f"{IPV6}/64")
    run(["ip", "-n", neighbours.other, "-6", "address", "show", "dev", "wire"])
    wait_for(
        lambda: "tentative" not in run(["ip", "-n", neighbours.other, "address"]).stdout,
        what="the other's address",
        timeout=120,
        interval=0.1,
    )
    neighbours.give(neighbours.machine, f"{IPV6}/64")
    wait_for(
        lambda: inside(neighbours.machine, failed_addresses) == (IPV6,),
        what="the kernel to find out",
        timeout=120,
        interval=0.1,
    )
    assert neighbours.find(f"{IPV6}/64", "2001:db8::11/64") == (Taken(IPV6),)


def test_nobody_can_be_asked_on_a_link_that_is_not_there(neighbours: Neighbours) -> None:
    with pytest.raises(MachineError, match=r"nobody could be asked for 192\.0\.2\.10 on nothing"):
        inside(neighbours.machine, lambda: find_taken(("192.0.2.10/24",), ("nothing",)))


def test_a_machine_with_two_ports_on_one_network_answers_itself(
    programs: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("arping", "echo 'Unicast reply from 192.0.2.10 [52:54:00:00:00:02]'; exit 1")
    programs.add("ip", "echo '[]'")
    monkeypatch.setattr(duplicates, "_own_hardware", lambda: frozenset({"52:54:00:00:00:02"}))
    assert find_taken(("192.0.2.10/24",), ("enp1s0",)) == ()


@pytest.mark.parametrize(
    ("links", "taken", "result"),
    [
        (("enp1s0",), (), ("pass", "nobody else has 192.0.2.10/24")),
        (
            ("enp1s0",),
            (Taken("192.0.2.10", "52:54"),),
            ("fail", "somebody else has 192.0.2.10 (52:54)"),
        ),
        ((), (), ("warn", "nobody could be asked: no link is up")),
    ],
)
def test_the_check(
    set_up: Callable[..., Machine],
    monkeypatch: pytest.MonkeyPatch,
    links: tuple[str, ...],
    taken: tuple[Taken, ...],
    result: tuple[str, str],
) -> None:
    machine = set_up(more=STATIC)
    asked: list[tuple[object, object]] = []

    def find(addresses: object, on: object) -> tuple[Taken, ...]:
        asked.append((addresses, on))
        return taken

    monkeypatch.setattr(check, "read_links", lambda: tuple(Link(name, True) for name in links))
    monkeypatch.setattr(check, "links_of", lambda _network: ("enp1s0", "enp9s0"))
    monkeypatch.setattr(check, "find_taken", find)
    found = check.check_duplicate_addresses(machine)
    assert (found.state, found.measured) == result
    assert bool(found.what_to_do) == (found.state != "pass")
    assert asked == ([(("192.0.2.10/24",), ("enp1s0",))] if links else [])
    assert check.has_fixed_addresses(machine)
    assert not check.has_fixed_addresses(set_up())


def test_own_hardware(tmp_path: Path) -> None:
    (tmp_path / "enp1s0").mkdir()
    (tmp_path / "enp1s0/address").write_text("52:54:00:AA:00:01\n")
    assert duplicates._own_hardware(tmp_path) == {"52:54:00:aa:00:01"}

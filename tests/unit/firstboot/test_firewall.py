"""The firewall: one list of openings, rules that the kernel takes, and packets that meet them."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from firstboot.base.errors import CommandError
from firstboot.base.firewall import PASSING, TABLE, Opening, open_ports, render_rules
from firstboot.base.run import run
from firstboot.base.services import parse_stack, read_stack
from firstboot.base.settings import parse_settings
from firstboot.system.nftables import apply_rules, diverted, opened, rules_problem
from tests.unit.firstboot.conftest import FakePrograms
from tests.unit.firstboot.samples import SERVICES, SETTINGS
from tools.build.source import CHECKOUT

ROOT = os.geteuid() == 0
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
SSH = f"ssh: {{enabled: true, keys: ['{KEY}'], networks: [192.0.2.0/24, '2001:db8::/32']}}\n"
STACK = parse_stack(SERVICES, "services")
# A network of its own, in which a plain user may set rules, too.
ALONE = ["unshare", "--net"] if ROOT else ["unshare", "--net", "--map-root-user"]


def test_the_services_are_open_and_nothing_else() -> None:
    settings = parse_settings(SETTINGS, "x")
    assert open_ports(settings, STACK) == (Opening(587), Opening(993))


def test_ssh_is_open_to_its_networks_when_it_is_on() -> None:
    found = open_ports(parse_settings(SETTINGS + SSH, "x"), STACK)
    assert found[0] == Opening(22, ("192.0.2.0/24", "2001:db8::/32"))
    off = SSH.replace("enabled: true", "enabled: false")
    assert open_ports(parse_settings(SETTINGS + off, "x"), STACK)[0].port == 587


def test_before_the_setup_only_its_pages_are_open() -> None:
    assert open_ports(None, STACK, setting_up=True) == (Opening(80), Opening(443))
    assert open_ports(None, STACK) == ()


@pytest.mark.parametrize(
    "openings",
    [
        (),
        (Opening(80), Opening(443)),
        (Opening(22, ("192.0.2.0/24",)), Opening(25)),
        (Opening(22, ("2001:db8::/32", "10.0.0.0/8", "0.0.0.0/0", "::/0")),),
        open_ports(
            parse_settings(SETTINGS + SSH, "x"), read_stack(CHECKOUT / "compose/services.yaml")
        ),
    ],
)
def test_nft_takes_the_rules(openings: tuple[Opening, ...]) -> None:
    run([*ALONE, "nft", "--check", "-f", "-"], stdin=render_rules(openings))


def test_a_start_begins_with_everything_closed() -> None:
    """The file in the image, which needs no program of ours that early, is what we render."""
    file = CHECKOUT / "images/appliance/mkosi.extra/usr/lib/mailstead/closed.nft"
    assert file.read_text() == render_rules(())


def test_nft_would_notice_a_wrong_rule() -> None:
    with pytest.raises(CommandError, match="syntax error"):
        run([*ALONE, "nft", "--check", "-f", "-"], stdin=render_rules([]) + "table inet x { y }\n")


def test_rules_that_are_gone_or_changed_are_noticed(programs: FakePrograms, tmp_path: Path) -> None:
    record = tmp_path / "run/firewall"
    assert rules_problem(record) == "they were not applied"
    programs.add("nft", 'case "$*" in *list*) echo table inet mailstead ;; esac')
    apply_rules([Opening(25)], record)
    assert rules_problem(record) is None
    programs.add("nft", "echo table inet mailstead, drop nothing")
    assert rules_problem(record) == "they were changed"
    programs.add("nft", "echo 'Error: No such file or directory' >&2; exit 1")
    assert rules_problem(record) == "they are gone"


def test_rules_that_the_kernel_refuses_are_an_error(programs: FakePrograms, tmp_path: Path) -> None:
    programs.add("nft", "echo 'Error: Could not process rule' >&2; exit 1")
    with pytest.raises(CommandError, match="Could not process rule"):
        apply_rules([], tmp_path / "firewall")
    assert not (tmp_path / "firewall").exists()


def test_a_port_is_closed_again_whatever_happens(programs: FakePrograms) -> None:
    programs.add("nft")
    with pytest.raises(ZeroDivisionError), opened(80, 600):
        raise ZeroDivisionError
    assert [call[1:] for call in programs.calls] == [
        ["add", "element", "inet", "mailstead", "passing", "{ 80 timeout 600s }"],
        ["delete", "element", "inet", "mailstead", "passing", "{ 80 }"],
    ]
    programs.add("nft", "exit 1")
    with opened(80, 600):
        pass


# Real packets: a machine and somebody outside, each a network namespace, on one cable.

ADDRESSES = ("192.0.2.10", "2001:db8::10")
SECONDS = 30.0  # to get an answer, which comes at once
T = TypeVar("T")


def inside(namespace: str, work: Callable[[], T]) -> T:
    """Do something in a thread of its own that is in another network namespace (setns(2))."""

    def moved() -> T:
        with Path("/run/netns", namespace).open() as file:
            assert ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0) == 0
        return work()

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(moved).result(timeout=20 * SECONDS)


def listen(port: int) -> socket.socket:
    """A server for IPv4 and IPv6; the kernel answers in its place."""
    return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)


def reach(address: str, port: int) -> str:
    try:
        socket.create_connection((address, port), timeout=SECONDS).close()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
    return "open"


@dataclass(frozen=True)
class Cable:
    """Two namespaces, of the machine and of somebody outside."""

    machine: str
    outside: str

    def nft(self, *words: str, stdin: str | None = None) -> None:
        run(["ip", "netns", "exec", self.machine, "nft", *words], stdin=stdin)

    def seen(self, *ports: int) -> dict[int, tuple[str, str]]:
        """What somebody outside sees of the machine's ports, by IPv4 and by IPv6."""

        def look() -> dict[int, tuple[str, str]]:
            return {port: (reach(ADDRESSES[0], port), reach(ADDRESSES[1], port)) for port in ports}

        return inside(self.outside, look)


@pytest.fixture
def cable() -> Iterator[Cable]:
    if not ROOT:
        pytest.skip("only root can join two network namespaces")
    name = f"mailstead-{os.getpid()}"
    made = Cable(f"{name}-in", f"{name}-out")
    try:
        for namespace in (made.machine, made.outside):
            run(["ip", "netns", "add", namespace])
        link = ["type", "veth", "peer", "name", "wire", "netns", made.outside]
        run(["ip", "-n", made.machine, "link", "add", "wire", *link])
        for namespace, host in ((made.machine, 10), (made.outside, 1)):
            ip = ["ip", "-n", namespace]
            run([*ip, "address", "add", f"192.0.2.{host}/24", "dev", "wire"])
            run([*ip, "address", "add", f"2001:db8::{host}/64", "dev", "wire", "nodad"])
            for device in ("lo", "wire"):
                run([*ip, "link", "set", device, "up"])
        yield made
    finally:
        for namespace in (made.machine, made.outside):
            run(["ip", "netns", "delete", namespace], check=False)


def test_packets_meet_the_rules(cable: Cable) -> None:
    """Over IPv6, too, where neighbour discovery has to get through first."""
    rules = render_rules([Opening(25), Opening(22, ("192.0.2.0/24",)), Opening(443, ("::1/128",))])
    openly, refused = ("open", "open"), ("refused", "refused")
    with contextlib.ExitStack() as servers:
        for port in (22, 25, 80, 443, 4000):
            servers.enter_context(inside(cable.machine, functools.partial(listen, port)))
        # Without rules everything is open, so that what follows is theirs.
        assert cable.seen(4000) == {4000: openly}
        cable.nft("-f", "-", stdin=rules)
        assert cable.seen(25, 22, 443, 80, 4000, 4001) == {
            25: openly,
            22: ("open", "refused"),
            **dict.fromkeys((443, 80, 4000, 4001), refused),
        }
        assert inside(cable.machine, lambda: reach("::1", 4000)) == "open"
        cable.nft("add", "element", "inet", TABLE, PASSING, "{ 80 timeout 600s }")
        assert cable.seen(80) == {80: openly}
        cable.nft("-f", "-", stdin=rules)
        assert cable.seen(80) == {80: refused}


def answers(listener: socket.socket, text: bytes) -> None:
    """Say `text` to whoever connects, until the listener is closed."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(text)


def heard(address: str, port: int) -> bytes:
    with socket.create_connection((address, port), timeout=SECONDS) as connection:
        return connection.recv(16)


def test_a_port_can_be_diverted_though_somebody_has_it(cable: Cable, tmp_path: Path) -> None:
    """As 443, which is a container's, for the setup's pages and for an authority's questions."""
    with contextlib.ExitStack() as stack:
        for port, text in ((443, b"service"), (8443, b"setup"), (8444, b"lego")):
            listener = stack.enter_context(inside(cable.machine, functools.partial(listen, port)))
            threading.Thread(target=answers, args=(listener, text), daemon=True).start()

        def outside(port: int) -> set[bytes]:
            return inside(cable.outside, lambda: {heard(ip, port) for ip in ADDRESSES})

        cable.nft("-f", "-", stdin=render_rules([Opening(443)], {443: 8443}))
        assert outside(443) == {b"setup"}
        assert cable.seen(8443) == {8443: ("refused", "refused")}
        cable.nft("-f", "-", stdin=render_rules([Opening(443)]))
        assert outside(443) == {b"service"}
        record = tmp_path / "firewall"
        inside(cable.machine, lambda: apply_rules([Opening(443)], record))
        with contextlib.ExitStack() as while_it_lasts:
            inside(
                cable.machine,
                lambda: while_it_lasts.enter_context(diverted(443, 8444, 600)),
            )
            assert outside(443) == {b"lego"}
            assert inside(cable.machine, lambda: rules_problem(record)) is None
            inside(cable.machine, while_it_lasts.close)
        assert outside(443) == {b"service"}

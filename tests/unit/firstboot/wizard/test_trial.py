"""A network that is tried: what the gateway says decides, and there is a way back."""

from __future__ import annotations

import pytest

from firstboot.base.paths import Paths
from firstboot.base.sections import Network
from firstboot.system import neighbours
from firstboot.system.links import Link
from firstboot.system.networkd import FILE_NAME
from firstboot.wizard import trial
from tests.unit.firstboot.conftest import FakePrograms

STATIC = Network(
    method="static",
    addresses=("192.0.2.10/24",),
    gateways=("192.0.2.1", "fe80::1"),
    dns=("192.0.2.1",),
)
ANSWERED = '[{"dst": "192.0.2.1", "lladdr": "52:54:00:00:00:01", "state": ["REACHABLE"]}]'
SILENT = '[{"dst": "192.0.2.1", "state": ["FAILED"]}]'


@pytest.fixture
def knocked(programs: FakePrograms, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who was looked for; nothing is sent from this computer."""
    found: list[str] = []
    monkeypatch.setattr(neighbours, "_knock", found.append)
    monkeypatch.setattr(trial, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(trial, "read_links", lambda: (Link("enp1s0", True), Link("enp2s0", False)))
    monkeypatch.setattr(trial, "links_of", lambda _network: ("enp1s0", "enp2s0"))
    programs.add("systemctl", "exit 0")
    programs.add("arping", "exit 0")
    programs.add("networkctl")
    return found


def test_a_gateway_that_answers(paths: Paths, programs: FakePrograms, knocked: list[str]) -> None:
    programs.add("ip", f"echo '{ANSWERED}'")
    assert trial.try_network(STATIC, paths) == ""
    assert "Address=192.0.2.10/24" in (paths.networkd / FILE_NAME).read_text()
    # A link-local one is on every link, so nobody asks it.
    assert set(knocked) == {"192.0.2.1"}
    assert ["ip", "-json", "neigh", "show", "to", "192.0.2.1"] in programs.calls
    assert ["networkctl", "reload"] in programs.calls


def test_an_address_that_somebody_has_is_not_used(
    paths: Paths, programs: FakePrograms, knocked: list[str]
) -> None:
    programs.add("ip", "echo '[]'")
    programs.add(
        "arping", "echo 'Unicast reply from 192.0.2.10 [52:54:00:AA:BB:CC]  0.7ms'; exit 1"
    )
    said = trial.try_network(STATIC, paths)
    assert said.startswith("Somebody else on this network has 192.0.2.10 (52:54:00:aa:bb:cc).")
    assert not (paths.networkd / FILE_NAME).exists()
    assert knocked == []
    probe = ["arping", "-D", "-c", "2", "-w", "3", "-I", "enp1s0", "192.0.2.10"]
    assert [call for call in programs.calls if call[0] == "arping"] == [probe]
    # Whoever has switched that off is believed.
    programs.add("ip", f"echo '{ANSWERED}'")
    unasked = STATIC.model_copy(update={"detect_duplicates": False})
    assert trial.try_network(unasked, paths) == ""


@pytest.mark.parametrize("listed", [SILENT, "[]", ""])
def test_a_gateway_that_does_not_answer(
    paths: Paths, programs: FakePrograms, knocked: list[str], listed: str
) -> None:
    programs.add("ip", f"echo '{listed}'")
    said = trial.try_network(STATIC, paths)
    assert said.startswith("The gateway 192.0.2.1 does not answer.")
    assert knocked
    written = (paths.networkd / FILE_NAME).read_text()
    assert "DHCP=yes" in written
    assert "192.0.2.10" not in written


def test_a_machine_on_which_nothing_can_be_tried(
    paths: Paths, programs: FakePrograms, knocked: list[str]
) -> None:
    programs.add("ip", "echo no netlink >&2; exit 1")
    assert "could not be tried" in trial.try_network(STATIC, paths)
    assert "DHCP=yes" in (paths.networkd / FILE_NAME).read_text()

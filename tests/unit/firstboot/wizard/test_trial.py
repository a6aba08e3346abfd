"""A network that is tried: what the gateway says decides, and there is a way back."""

from __future__ import annotations

import pytest

from firstboot.base.paths import Paths
from firstboot.base.settings import Network
from firstboot.system import neighbours
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
    programs.add("systemctl", "exit 0")
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

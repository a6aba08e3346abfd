"""A machine with static addresses, set up by a seed on its ESP, and looked at from outside."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.boot.conftest import PowerOn
from tools.boot.appliance import await_ready, declared
from tools.boot.example import make_example
from tools.build.image import Built
from tools.vm import NamespaceNetwork
from tools.vm.seedvolume import copy_sparse, write_esp_file

SCAN = Path(__file__).with_name("scan.py")


def _static(network: NamespaceNetwork) -> str:
    gateways = [network.gateway.partition("/")[0], network.gateway6.partition("/")[0]]
    return f"""\
network:
  method: static
  addresses: [{network.guest}, "{network.guest6}"]
  gateways: [{gateways[0]}, "{gateways[1]}"]
  dns: [{gateways[0]}]
"""


@pytest.fixture(scope="class")
def network(
    power_on: PowerOn, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> NamespaceNetwork:
    network = NamespaceNetwork()
    image = copy_sparse(built.image, tmp_path_factory.mktemp("esp") / "image.raw")
    write_esp_file(image, "mailstead.yaml", make_example(_static(network)).seed.encode())
    machine = power_on(image=image, network=network)
    await_ready(machine)
    return network


class TestStaticNetwork:
    @pytest.mark.parametrize("family", ["IPv4", "IPv6"])
    def test_exactly_the_declared_ports_are_open(
        self, network: NamespaceNetwork, family: str
    ) -> None:
        address = {"IPv4": network.guest, "IPv6": network.guest6}[family].partition("/")[0]
        found = json.loads(network.run([sys.executable, SCAN, address]).stdout)
        assert found == sorted(port.published for port in declared().ports)

"""The image that people get: nobody inside answers, only what it shows and serves counts.

It has static addresses, is set up by a seed on its ESP, and is looked at from outside.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.boot.conftest import PowerOn
from tools.boot.appliance import ANSWER_SECONDS, await_ready, declared
from tools.boot.example import Example, make_example
from tools.build.base import AUTO, BASES, UBUNTU
from tools.build.image import Built, build_image, compressed
from tools.build.source import CHECKOUT
from tools.host.report import say
from tools.inspect.image import inspect_image
from tools.vm import Machine, NamespaceNetwork
from tools.vm.seedvolume import copy_sparse, read_esp_file, write_esp_file

MB = 10**6
SCAN = Path(__file__).with_name("scan.py")
# Building and booting the other base takes a quarter of an hour.
ON_BASES = [
    pytest.param(base, marks=[] if base == UBUNTU.distribution else [pytest.mark.campaign])
    for base in BASES
]


@dataclass(frozen=True)
class Site:
    """A machine on a cable, and whose mail is on it."""

    machine: Machine
    network: NamespaceNetwork
    example: Example


def static(network: NamespaceNetwork) -> str:
    gateways = [network.gateway.partition("/")[0], network.gateway6.partition("/")[0]]
    return f"""\
network:
  method: static
  addresses: [{network.guest}, "{network.guest6}"]
  gateways: [{gateways[0]}, "{gateways[1]}"]
  dns: [{gateways[0]}]
"""


@pytest.fixture(scope="module", params=ON_BASES)
def release(request: pytest.FixtureRequest) -> Built:
    """The image on each base: what is Ubuntu's and what is ours shows where they differ."""
    wanted = request.config.getoption("--base")
    if wanted not in (AUTO, request.param):
        pytest.skip(f"--base {wanted} leaves out {request.param}")
    return build_image(request.param, report=say)


@pytest.fixture(scope="class")
def site(
    power_on: PowerOn, release: Built, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    network = NamespaceNetwork()
    example = make_example(static(network))
    image = copy_sparse(release.image, tmp_path_factory.mktemp("esp") / "image.raw")
    write_esp_file(image, "mailstead.yaml", example.seed.encode())
    machine = power_on(image=image, network=network)
    await_ready(machine)
    yield Site(machine, network, example)
    # Before the other base is built and booted, which needs the processors.
    machine.power_cut()


class TestRelease:
    @pytest.mark.campaign
    def test_mail_goes_round(self, site: Site, tmp_path: Path) -> None:
        example = site.example
        task = {
            "host": site.network.guest.partition("/")[0],
            "example": {
                "hostname": example.hostname,
                "address": example.address,
                "password": example.password,
            },
            "ports": {port.name: port.published for port in declared().ports},
            "seconds": site.machine.accelerator.scaled(30),
            "patience": site.machine.accelerator.scaled(ANSWER_SECONDS),
        }
        file = tmp_path / "task.json"
        file.write_text(json.dumps(task))
        python = ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-m", "tests.boot.trip"]
        assert json.loads(site.network.run([*python, file]).stdout) > 1000

    @pytest.mark.campaign
    @pytest.mark.parametrize("family", ["IPv4", "IPv6"])
    def test_exactly_the_declared_ports_are_open(self, site: Site, family: str) -> None:
        addresses = {"IPv4": site.network.guest, "IPv6": site.network.guest6}
        address = addresses[family].partition("/")[0]
        found = json.loads(site.network.run([sys.executable, SCAN, address]).stdout)
        assert found == sorted(port.published for port in declared().ports)

    @pytest.mark.campaign
    def test_no_login_is_offered(self, site: Site) -> None:
        assert "login:" not in site.machine.console_text
        assert not site.machine.guest_connected

    def test_boot_menu_gives_no_shell(self, release: Built) -> None:
        loader = read_esp_file(release.image, "loader/loader.conf").decode().splitlines()
        assert "editor no" in loader
        assert "timeout 0" in loader

    def test_image_is_small_and_has_no_way_in(self, release: Built) -> None:
        found = inspect_image(release.image, verify=True, report=say)
        assert found.damage == ""
        assert not found.testing
        assert release.uki.stat().st_size <= 90 * MB
        assert compressed(release.image).stat().st_size <= 600 * MB

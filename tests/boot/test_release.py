"""The image that people get: nobody inside answers, only what it shows and serves counts."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from firstboot.base.roundtrip import Account, round_trip, trusting
from tests.boot.conftest import PowerOn
from tools.boot.appliance import await_ready
from tools.boot.example import Example
from tools.build.base import AUTO, BASES, UBUNTU
from tools.build.image import Built, build_image
from tools.host.report import say
from tools.inspect.image import inspect_image
from tools.vm import Machine
from tools.vm.seedvolume import read_esp_file

MIB = 1 << 20


# Building and booting the other base takes a quarter of an hour.
ON_BASES = [
    pytest.param(base, marks=[] if base == UBUNTU.distribution else [pytest.mark.campaign])
    for base in BASES
]


@pytest.fixture(scope="module", params=ON_BASES)
def release(request: pytest.FixtureRequest) -> Built:
    """The image on each base: what is Ubuntu's and what is ours shows where they differ."""
    wanted = request.config.getoption("--base")
    if wanted not in (AUTO, request.param):
        pytest.skip(f"--base {wanted} leaves out {request.param}")
    return build_image(request.param, report=say)


@pytest.fixture(scope="class")
def machine(power_on: PowerOn, release: Built, example: Example) -> Iterator[Machine]:
    machine = power_on(seed=example.seed, image=release.image)
    await_ready(machine)
    yield machine
    # Before the other base is built and booted, which needs the processors.
    machine.power_cut()


class TestRelease:
    def test_mail_goes_round(self, machine: Machine, example: Example) -> None:
        # Nobody inside can be asked for the certificate, so the first one seen is trusted.
        seen = ssl.get_server_certificate(("127.0.0.1", machine.ports["imaps"]), timeout=60)
        account = Account(
            hostname=example.hostname,
            address=example.address,
            password=example.password,
            submission=machine.ports["submission"],
            imaps=machine.ports["imaps"],
            context=trusting(seen),
        )
        assert round_trip(account, timeout=machine.accelerator.scaled(30)).bytes > 1000

    def test_no_login_is_offered(self, machine: Machine) -> None:
        assert "login:" not in machine.console_text
        assert not machine.guest_connected

    def test_boot_menu_gives_no_shell(self, release: Built) -> None:
        loader = read_esp_file(release.image, "loader/loader.conf").decode().splitlines()
        assert "editor no" in loader
        assert "timeout 0" in loader

    def test_image_is_small_and_has_no_way_in(self, release: Built) -> None:
        found = inspect_image(release.image, verify=True, report=say)
        assert found.damage == ""
        assert not found.testing
        assert release.uki.stat().st_size <= 90 * MIB
        assert release.compressed.stat().st_size <= 600 * MIB

"""First boot: mail, and what the machine says of itself."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.boot.life.conftest import Life
from tools.boot.appliance import declared, read_status
from tools.build.image import Built
from tools.host.report import say
from tools.trial.trial import run_trial

SERVICES = sorted(service.name for service in declared().services)


class TestFirstDay:
    def test_mail_goes_round(self, life: Life, built: Built) -> None:
        """As `tools/forge try` sends it; what that prints with --json is for other programs."""
        told = json.loads(json.dumps(run_trial(life.machine, built, life.example, say).as_json()))
        shape = {key: set(found) if isinstance(found, dict) else 0 for key, found in told.items()}
        assert shape == {
            **dict.fromkeys(("version", "base", "accelerator"), 0),
            "image": {"path", "bytes", "zstd_bytes", "uki_bytes"},
            "seconds": {
                "build",
                "power_on_to_login",
                "setup",
                "power_on_to_first_mail",
                "round_trip",
            },
            "memory_mib": {"used", "containers"},
            "ports": {port.name for port in declared().ports},
            "round_trip": {"ok", "bytes"},
        }
        assert told["round_trip"]["ok"] is True
        assert told["round_trip"]["bytes"] > 1000
        assert (told["version"], told["base"]) == (built.release.version, built.release.base)
        assert Path(told["image"]["path"]).stat().st_size == told["image"]["bytes"]
        assert sorted(told["memory_mib"]["containers"]) == SERVICES

    def test_machine_finds_itself_well(self, life: Life) -> None:
        words = ["mailstead", "check", "--json", "--group", "machine", "--group", "mail"]
        done = life.machine.guest.run(words, check=False, timeout=120)
        checks = json.loads(done.stdout)
        assert [check for check in checks["checks"] if check["state"] == "fail"] == []
        assert checks["ok"]
        assert done.returncode == 0

    def test_machine_finds_its_network(self, life: Life) -> None:
        """As far as it is there: nothing outside of the host can be reached."""
        words = ["mailstead", "check", "--json", "--group", "network", "--no-outside"]
        done = life.machine.guest.run(words, check=False, timeout=120)
        states = {check["name"]: check["state"] for check in json.loads(done.stdout)["checks"]}
        inside = ("link", "addresses", "public address")
        assert [states[name] for name in inside] == ["pass", "pass", "warn"]
        assert states["gateway"] != "fail"
        assert "port 25 out" not in states

    def test_machine_knows_its_dns_records(self, life: Life) -> None:
        words = ["mailstead", "dns", "show", "--json"]
        records = json.loads(life.machine.guest.run(words, timeout=120).stdout)["records"]
        kinds = {record["kind"] for record in records}
        assert kinds >= {"address", "mx", "spf", "dkim", "dmarc", "service"}

    def test_disk_opens_by_the_tpm_and_only_for_our_systems(self, life: Life) -> None:
        protection = read_status(life.machine)["protection"]
        assert protection["unlocked_by"] == "tpm2"
        assert protection["secure_boot"] == "enforced"
        assert protection["tpm_policy"] == "PCR 11 signed + PCR 7"
        assert [way["name"] for way in protection["ways"]] == ["tpm2", "recovery"]

    def test_every_service_is_well(self, life: Life, built: Built) -> None:
        status = read_status(life.machine)
        assert status["version"] == built.release.version
        assert status["problems"] == []
        health = {found["name"]: found["health"] for found in status["containers"]}
        assert health == dict.fromkeys(SERVICES, "healthy")

    def test_a_good_version_has_no_deadline(self, life: Life) -> None:
        """Only while one is on trial is a start that takes long given up by force."""
        for unit in ("boot-complete.target", "multi-user.target"):
            shown = life.machine.guest.run(["systemctl", "show", "-P", "JobTimeoutUSec", unit])
            assert shown.stdout.strip() == "infinity"
        jobs = life.machine.guest.run(["systemctl", "show", "-P", "Job", "systemd-bless-boot"])
        assert jobs.stdout.strip() in {"", "0"}

    def test_only_images_of_the_slot_run(self, life: Life, built: Built) -> None:
        run = life.machine.guest.run
        ids = run(["docker", "ps", "--quiet", "--no-trunc"]).stdout.split()
        images = run(["docker", "inspect", "--format", "{{.Image}}", *ids]).stdout.split()
        slot = {digest for image in built.release.images.values() for digest in image.ids}
        assert len(images) == len(SERVICES)
        assert set(images) <= slot
        everything = run(["docker", "images", "--quiet", "--no-trunc"]).stdout.split()
        assert set(everything) <= slot

    def test_nobody_can_log_in(self, life: Life) -> None:
        run = life.machine.guest.run
        passwords = [line.split(":")[1] for line in run(["cat", "/etc/shadow"]).stdout.split()]
        assert [password for password in passwords if not password.startswith(("!", "*"))] == []
        units = run(["systemctl", "list-units", "--all", "--plain", "--no-legend"]).stdout
        assert "getty@" not in units
        # It is there, and off until the settings switch it on.
        active = run(["systemctl", "list-units", "--plain", "--no-legend"]).stdout
        assert "ssh" not in active

    def test_no_unit_failed(self, life: Life) -> None:
        done = life.machine.guest.run(["systemctl", "list-units", "--failed", "--no-legend"])
        assert done.stdout.strip() == ""

    def test_slot_cannot_be_written(self, life: Life) -> None:
        for path in ("/usr/intruder", "/intruder", "/opt/intruder"):
            done = life.machine.guest.run(["touch", path], check=False)
            assert "Read-only file system" in done.stderr

    @pytest.mark.campaign
    def test_accepted_mail_survives_a_power_cut(
        self, life: Life, request: pytest.FixtureRequest, dice: random.Random
    ) -> None:
        """Once for each of `--cuts`; each run does so once, with an upgrade waiting."""
        for _ in range(request.config.getoption("--cuts")):
            life.lose_power(dice)

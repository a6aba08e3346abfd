"""Each container is what services.yaml says it is, and can do no more than that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firstboot.base.services import (
    DIRECTORY_SECRETS,
    OPTIONAL_SECRETS,
    Service,
    Stack,
    read_stack,
)
from firstboot.base.waiting import wait_for
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tools.build.source import CHECKOUT
from tools.stack.lifecycle import StackUp
from tools.stack.ports import LOOPBACK

SERVICES = read_stack(CHECKOUT / "compose/services.yaml").services
# Bits of the capabilities that services.yaml may name (linux/capability.h).
BITS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "NET_BIND_SERVICE": 10,
}

each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


@each_service
def test_image_is_the_release(stack: StackUp, boxes: Boxes, service: Service) -> None:
    found = boxes.inspect(service.name)
    image = stack.release.image(service.image)
    assert found["Image"] in image.ids
    assert stack.engine.image_id(image) in image.ids
    assert found["Config"]["Image"] == image.reference


@each_service
def test_limits(boxes: Boxes, service: Service) -> None:
    host = boxes.inspect(service.name)["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert {name.removeprefix("CAP_") for name in host["CapAdd"] or ()} == {*service.capabilities}
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] == host["MemorySwap"] == service.memory  # so there is no swap
    assert host["PidsLimit"] == service.pids
    assert host["Devices"] in ([], None)
    for namespace in ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode"):
        assert host[namespace] != "host"


@each_service
def test_limits_as_the_kernel_has_them(boxes: Boxes, service: Service) -> None:
    status = boxes.process_status(service.name)
    allowed = sum(1 << BITS[name] for name in service.capabilities)
    assert int(status["CapBnd"], 16) == allowed
    assert int(status["CapEff"], 16) & ~allowed == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["Uid"].split() == [str(service.user)] * 4
    # Root is only what cannot be otherwise.
    assert service.user > 0 or service.name == "mta"


@each_service
def test_root_file_system_is_read_only(boxes: Boxes, service: Service) -> None:
    for folder in ("/", "/etc", "/usr/bin", "/var/lib"):
        code, output = boxes.run(service.name, "touch", f"{folder}/written")
        assert code != 0, (folder, output)


@each_service
def test_mounts(stack: StackUp, boxes: Boxes, service: Service) -> None:
    home = stack.home
    for mount in boxes.inspect(service.name)["Mounts"]:
        source = mount["Source"]
        sockets = {str(home.config.parent / one.folder): one.target for one in service.sockets}
        if source.startswith(f"{home.config}{os.sep}"):
            assert mount["RW"] is False
        elif source in sockets:
            assert (mount["RW"], mount["Destination"]) == (False, sockets[source])
        else:
            assert source.startswith(f"{home.state / service.name}{os.sep}")
            assert mount["Destination"] in {volume.target for volume in service.volumes}


@each_service
def test_secrets_are_in_files_of_their_reader(
    stack: StackUp, boxes: Boxes, service: Service
) -> None:
    for name in set(service.secrets) - OPTIONAL_SECRETS:
        path = stack.home.config / "secrets" / service.name / name
        files = [file for file in path.rglob("*") if file.is_file()]
        assert bool(files) == (name in DIRECTORY_SECRETS)
        for file in files or [path]:
            status = file.stat()
            assert (status.st_mode & 0o777, status.st_uid) == (0o400, service.user)
    secret = (stack.home.state / "secrets/canary_password").read_text(encoding="ascii")
    found = boxes.inspect(service.name)
    assert secret not in str(found["Config"])
    assert secret not in stack.home.compose_file.read_text(encoding="utf-8")


@each_service
def test_published_ports(stack: StackUp, boxes: Boxes, service: Service) -> None:
    bindings = boxes.inspect(service.name)["HostConfig"]["PortBindings"] or {}
    published = {
        (port, binding["HostIp"], int(binding["HostPort"]))
        for port, found in bindings.items()
        for binding in found
    }
    assert published == {
        (f"{port.container}/tcp", LOOPBACK, stack.ports[port.name]) for port in service.ports
    }


def test_networks(stack: StackUp, boxes: Boxes, services: Stack) -> None:
    prefix = f"{stack.home.project}_"
    for network in services.networks:
        found = boxes.api.inspect_network(prefix + network.name)
        assert found["Internal"] is network.internal
        members = {
            service.name for service in services.services if network.name in service.networks
        }
        assert {entry["Name"] for entry in found["Containers"].values()} == {
            f"{stack.home.project}-{name}-1" for name in members
        }


@pytest.mark.parametrize("service", ["directory", "mailstore"])
def test_who_has_keys_leaves_no_core_dump(boxes: Boxes, service: str) -> None:
    pid = boxes.inspect(service)["State"]["Pid"]
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    # What is not dumpable belongs to root in /proc (proc(5)), whoever runs it.
    assert Path(f"/proc/{pid}/mem").stat().st_uid == 0


def test_the_mta_does_not_see_redis(boxes: Boxes) -> None:
    assert boxes.run("mta", "getent", "hosts", "mailstore")[0] == 0
    assert boxes.run("mta", "getent", "hosts", "redis")[0] != 0


def test_postfix_talks_to_the_network_without_root(mail: Mail, boxes: Boxes) -> None:
    def settled() -> bool:
        """Each process begins as root, until it has read what it needs."""
        listing = boxes.api.top(boxes.ids["mta"], ps_args="-eo pid,uid,comm")
        users = [(command, int(user)) for _, user, command in listing["Processes"]]
        assert "smtpd" in dict(users)
        return {command for command, user in users if user == 0} <= {"master", "sh"}

    with mail.smtp("smtp"):
        wait_for(settled, what="processes that are not root's", timeout=120)

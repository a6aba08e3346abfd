"""The Compose file as a plain document: every service hardened in the same way."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from firstboot.base.release import Release
from firstboot.base.services import Network, Port, Service, Stack

PROJECT = "mailstead"


@dataclass(frozen=True)
class StackOptions:
    """What differs between the appliance (the defaults) and a stack on a developer's host.

    `address` is where ports are published (None: everywhere), `ports` maps IANA service names to
    host ports that replace the declared ones.
    """

    project: str = PROJECT
    log_driver: str = "journald"
    address: str | None = None
    ports: Mapping[str, int] = field(default_factory=dict)

    def published(self, port: Port) -> int:
        """The host's port for a declared one."""
        return self.ports.get(port.name, port.published)


@dataclass(frozen=True)
class Mount:
    """A file or directory of the host and where a container sees it."""

    source: Path
    target: str
    read_only: bool


def compose_document(
    stack: Stack,
    release: Release,
    *,
    mounts: Mapping[str, tuple[Mount, ...]],
    digests: Mapping[str, str],
    options: StackOptions,
) -> dict[str, Any]:
    """The Compose file; `mounts` and `digests` (of the mounted content) go by service name."""
    return {
        "name": options.project,
        "networks": {
            network.name: _network(network, stack, options.project) for network in stack.networks
        },
        "services": {
            service.name: _service(
                service, release, mounts[service.name], digests[service.name], options
            )
            | _names(service, stack, options.project)
            for service in stack.services
        },
    }


def dump_compose(document: dict[str, Any]) -> str:
    """As YAML, in which `$` is doubled, since Compose would substitute variables."""
    return yaml.safe_dump(_escape(document), sort_keys=False, width=1000)


def _network(network: Network, stack: Stack, project: str) -> dict[str, Any]:
    """With IPv6 where clients come in: else Docker's proxy takes these connections for its own.

    All the world would then have one address over IPv6: for limits, for SPF, for blocklists.
    """
    if stack.is_resolved(network.name):
        # What others get by chance is not the resolver's.
        found = resolved_network(f"{project}_{network.name}")
        addresses = {
            "subnet": str(found.subnet),
            "gateway": str(found.subnet[1]),
            "ip_range": str(found.others),
        }
        return {"internal": True, "ipam": {"config": [addresses]}}
    if network.internal:
        return {"internal": True}
    # Docker before 27 finds no IPv6 addresses by itself. Those of IPv4 are its own choice still.
    subnet = private_network(f"{project}_{network.name}")
    return {"internal": False, "enable_ipv6": True, "ipam": {"config": [{"subnet": subnet}]}}


def private_network(name: str) -> str:
    """An IPv6 network that is nobody else's: 56 bits of a hash where RFC 4193 has random ones."""
    digits = "fd" + hashlib.sha256(name.encode()).hexdigest()[:14]
    return ":".join(digits[start : start + 4] for start in range(0, 16, 4)) + "::/64"


@dataclass(frozen=True)
class ResolvedNetwork:
    """An IPv4 network with a name server: Docker wants its address, and knows it by no name."""

    subnet: ipaddress.IPv4Network

    @property
    def server(self) -> str:
        return str(self.subnet[2])

    @property
    def others(self) -> ipaddress.IPv4Network:
        """Where Docker takes the addresses of the others from."""
        return list(self.subnet.subnets(prefixlen_diff=1))[1]


def resolved_network(name: str) -> ResolvedNetwork:
    """An address range that is nobody's: never routed (RFC 3927), so that no network here has it.

    It is from 169.254.64.0/18, since clouds have servers for their machines in what is left. An
    engine may have several stacks, whose `name` differs.
    """
    ranges = ipaddress.IPv4Network("169.254.64.0/18")
    prefix = 27
    number = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 ** (prefix - ranges.prefixlen)
    first = ranges.network_address + number * 2 ** (32 - prefix)
    return ResolvedNetwork(ipaddress.IPv4Network((first, prefix)))


def _service(
    service: Service,
    release: Release,
    mounts: tuple[Mount, ...],
    digest: str,
    options: StackOptions,
) -> dict[str, Any]:
    return {
        "image": release.image(service.image).reference,
        # Never from a registry: the image is in the slot or the machine is broken.
        "pull_policy": "never",
        "command": list(service.command),
        "user": f"{service.user}:{service.user}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "cap_add": list(service.capabilities),
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": service.memory,
        # Of memory and swap together, so there is no swap: it would keep keys and mail on a disk.
        "memswap_limit": service.memory,
        "pids_limit": service.pids,
        "ports": [_port(port, options) for port in service.ports],
        "tmpfs": list(service.tmpfs),
        "volumes": [_mount(mount) for mount in mounts],
        "restart": "unless-stopped",
        "stop_grace_period": f"{service.stop_seconds}s",
        "logging": _logging(options.log_driver),
        "labels": {"mailstead.files": digest},
    }


def _names(service: Service, stack: Stack, project: str) -> dict[str, Any]:
    """Its networks, and who looks names up for it that are no service's."""
    if service.resolves:
        server = resolved_network(f"{project}_{service.resolves}").server
        fixed = {service.resolves: {"ipv4_address": server}}
        return {"networks": {network: fixed.get(network, {}) for network in service.networks}}
    servers = [
        resolved_network(f"{project}_{network}").server
        for network in service.networks
        if stack.is_resolved(network)
    ]
    return {"networks": list(service.networks)} | ({"dns": servers} if servers else {})


def _port(port: Port, options: StackOptions) -> dict[str, Any]:
    published = {"target": port.container, "published": str(options.published(port))}
    return published | ({"host_ip": options.address} if options.address else {})


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "type": "bind",
        "source": str(mount.source.absolute()),
        "target": mount.target,
        "read_only": mount.read_only,
        # A missing source is an error, not an empty directory made by root.
        "bind": {"create_host_path": False},
    }


def _logging(driver: str) -> dict[str, Any]:
    if driver == "json-file":
        return {"driver": driver, "options": {"max-size": "10m", "max-file": "3"}}
    return {"driver": driver, "options": {"tag": "{{.Name}}"}}


def _escape(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _escape(inner) for key, inner in value.items()}
    return [_escape(inner) for inner in value] if isinstance(value, list) else value

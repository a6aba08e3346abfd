"""The one description of the services (compose/services.yaml) as frozen values.

Compose file, port checks and tests are all made from it. Its errors are defects of
an image, but they name file, line and key like those of the settings do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from firstboot.base.errors import StackError
from firstboot.base.located import Located, Place, read_located
from firstboot.base.problems import add_problems

if TYPE_CHECKING:
    from firstboot.base.settings import Settings

Tls = Literal["none", "starttls", "implicit"]

# Secrets that are not random: the login at a smart host, which is only there when the settings have
# one; and directories, so that what is in them can be replaced while the service runs: settings,
# key and certificate, and the keys that sign mail.
SETTINGS_SECRET, RELAY_SECRET, TLS_SECRET, DKIM_SECRET = "settings", "relay", "tls", "dkim"
SPECIAL_SECRETS = frozenset({SETTINGS_SECRET, RELAY_SECRET, TLS_SECRET, DKIM_SECRET})
DIRECTORY_SECRETS = frozenset({SETTINGS_SECRET, TLS_SECRET, DKIM_SECRET})
OPTIONAL_SECRETS = frozenset({RELAY_SECRET})

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_NAME = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="a short lower-case name")
_BYTES = Field(pattern=r"^[\x00-\xff]*$", description="bytes, one a character up to \\xff")
_PORT = Field(ge=1, le=65535, description="a port number from 1 to 65535")


@dataclass(frozen=True)
class Port:
    """A port that the machine answers on; `name` is the IANA service name."""

    name: str
    container: int
    published: int
    tls: Tls


@dataclass(frozen=True)
class Network:
    """A network between containers; an internal one has no way out and publishes nothing.

    One that is not internal has IPv6, too.
    """

    name: str
    internal: bool


@dataclass(frozen=True)
class File:
    """A template below compose/ and where the rendered file is mounted, read-only."""

    template: str
    target: str


@dataclass(frozen=True)
class Volume:
    """A folder below <state>/<service>/ and where it is mounted."""

    folder: str
    target: str


@dataclass(frozen=True)
class Socket:
    """A folder of the machine with a socket in it, beside the rendered stack; where it is mounted.

    Whoever is in there can ask the machine what the other end of the socket answers.
    """

    folder: str
    target: str


@dataclass(frozen=True)
class Exchange:
    """What shows that a port of a container is served: what to send, how the answer begins.

    With `tls` both go through TLS from the first byte.
    """

    port: int
    send: bytes
    expect: bytes
    tls: bool


@dataclass(frozen=True)
class Service:
    """One container. `user` is uid and gid, `memory` is in bytes.

    `resolves` is the network for whose other services it looks names up, "" for most.
    `reload` makes it take a new certificate, run in its container; empty if it does so by itself.
    It is no signal: Docker takes any that it sends for a wish to stop, and restarts no more.
    `needed_for`: it only runs where there is such a thing.
    """

    name: str
    image: str
    user: int
    command: tuple[str, ...]
    networks: tuple[str, ...]
    resolves: str
    memory: int
    files: tuple[File, ...]
    tmpfs: tuple[str, ...]
    volumes: tuple[Volume, ...]
    sockets: tuple[Socket, ...]
    secrets: tuple[str, ...]
    reload: tuple[str, ...]
    capabilities: tuple[str, ...]
    health: tuple[Exchange, ...]
    ports: tuple[Port, ...]
    pids: int
    stop_seconds: int
    needed_for: Literal["mailboxes"] | None = None


@dataclass(frozen=True)
class Stack:
    """All networks and services, in the order of the file."""

    networks: tuple[Network, ...]
    services: tuple[Service, ...]

    @property
    def ports(self) -> tuple[Port, ...]:
        return tuple(port for service in self.services for port in service.ports)

    def is_resolved(self, network: str) -> bool:
        """Whether a service looks names up for the others in a network."""
        return any(service.resolves == network for service in self.services)

    def needed_by(self, settings: Settings | None) -> Stack:
        """What of it runs on a machine: services for mailboxes only where somebody has one."""
        if settings is None or settings.people:
            return self
        services = (service for service in self.services if service.needed_for != "mailboxes")
        return replace(self, services=tuple(services))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the services."""
        return tuple(service.name for service in self.services)

    def port(self, name: str) -> Port:
        """The port of an IANA service name; StackError when no service has it."""
        for port in self.ports:
            if port.name == name:
                return port
        raise StackError(f"no service has the port {name}")


def read_stack(path: Path) -> Stack:
    """Read services.yaml; raises StackError with every problem as `file:line: key: …`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StackError(f"services cannot be read: {path}: {error}") from None
    return parse_stack(text, str(path))


def parse_stack(text: str, source: str) -> Stack:
    """`read_stack` for a text; `source` is how messages name it."""
    document = read_located(text)
    model: _Stack | None = None
    try:
        model = _Stack.model_validate(document.value)
    except ValidationError as error:
        add_problems(document, _Stack, error)
    else:
        _check(document, model)
    if model is None or document.problems:
        raise StackError("\n".join(document.shown(source)), "This is a defect of the image.")
    return Stack(
        networks=tuple(Network(name, found.internal) for name, found in model.networks.items()),
        services=tuple(_service(name, found) for name, found in model.services.items()),
    )


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class _Network(_Model):
    internal: bool = Field(description="true or false")


class _Exchange(_Model):
    port: Annotated[int, _PORT]
    send: Annotated[str, _BYTES] = ""
    expect: Annotated[str, _BYTES] = Field(min_length=1)
    tls: bool = False


class _Port(_Model):
    container: Annotated[int, _PORT]
    published: Annotated[int, _PORT]
    tls: Tls


_Name = Annotated[str, _NAME]
_Absolute = Annotated[str, Field(pattern=r"^/[^:]*$", description="an absolute path")]
_Relative = Annotated[str, Field(pattern=r"^\w[\w./-]*$", description="a path below compose/")]


class _Service(_Model):
    image: _Name = Field(description="the name of an image")
    user: int = Field(ge=0, lt=65534, description="a numeric uid, which is the gid too")
    command: tuple[str, ...] = Field(min_length=1, description="the words of a command")
    networks: tuple[str, ...] = Field(min_length=1, description="names of networks")
    resolves: str = Field("", description="one of its internal networks")
    memory: str = Field(pattern=r"^[1-9]\d*[KMG]$", description="a size such as 64M")
    files: dict[_Relative, _Absolute] = {}
    tmpfs: tuple[str, ...] = ()
    volumes: dict[_Name, _Absolute] = {}
    sockets: dict[_Name, _Absolute] = {}
    secrets: tuple[_Name, ...] = ()
    reload: tuple[str, ...] = Field((), description="the words of a command")
    capabilities: tuple[Annotated[str, Field(pattern=r"^[A-Z_]+$")], ...] = ()
    health: tuple[_Exchange, ...] = Field(min_length=1, description="a list of what to ask")
    ports: dict[_Name, _Port] = {}
    pids: int = Field(128, ge=1, description="how many processes and threads at most")
    stop_seconds: int = Field(30, ge=1, description="seconds until a stop becomes a kill")
    needed_for: Literal["mailboxes"] | None = None


class _Stack(_Model):
    version: Literal[1] = Field(description="the version of this format, 1")
    networks: dict[_Name, _Network] = Field(description="a mapping of networks")
    services: dict[_Name, _Service] = Field(min_length=1, description="a mapping of services")


def _service(name: str, model: _Service) -> Service:
    return Service(
        name=name,
        image=model.image,
        user=model.user,
        command=model.command,
        networks=model.networks,
        resolves=model.resolves,
        memory=_size(model.memory),
        files=tuple(File(template, target) for template, target in model.files.items()),
        tmpfs=model.tmpfs,
        volumes=tuple(Volume(folder, target) for folder, target in model.volumes.items()),
        sockets=tuple(Socket(folder, target) for folder, target in model.sockets.items()),
        secrets=model.secrets,
        reload=model.reload,
        capabilities=model.capabilities,
        health=tuple(
            Exchange(
                found.port, found.send.encode("latin-1"), found.expect.encode("latin-1"), found.tls
            )
            for found in model.health
        ),
        ports=tuple(
            Port(port, found.container, found.published, found.tls)
            for port, found in model.ports.items()
        ),
        pids=model.pids,
        stop_seconds=model.stop_seconds,
        needed_for=model.needed_for,
    )


def _size(text: str) -> int:
    digits = re.match(r"\d+", text, re.ASCII)
    return int(digits[0]) * _UNITS[text[digits.end() :]] if digits else 0


def _check(document: Located, stack: _Stack) -> None:
    """Note what only the whole can tell: undeclared networks, ports published twice or nowhere."""
    taken: set[str | int] = set()
    for service, port, place in _published(stack):
        for value in (place[-1], port.published):
            if value in taken:
                document.add(place, f"expected each port once, got {value} again")
            taken.add(value)
        declared = [stack.networks.get(name) for name in service.networks]
        if not any(network and not network.internal for network in declared):
            document.add(place, "expected a network that is not internal, which cannot publish")
    for name, service in stack.services.items():
        for index, network in enumerate(service.networks):
            if network not in stack.networks:
                known = ", ".join(stack.networks)
                place = ("services", name, "networks", index)
                document.add(place, f"expected one of the networks {known}, got {network!r}")
        inner = {network for network, found in stack.networks.items() if found.internal}
        if service.resolves and service.resolves not in inner.intersection(service.networks):
            problem = f"expected one of its internal networks, got {service.resolves!r}"
            document.add(("services", name, "resolves"), problem)


def _published(stack: _Stack) -> Iterator[tuple[_Service, _Port, Place]]:
    for name, service in stack.services.items():
        for port_name, port in service.ports.items():
            yield service, port, ("services", name, "ports", port_name)

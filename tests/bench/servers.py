"""The two mail stores that are compared: our containers, and Dovecot in one on the same engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from firstboot.base.files import make_directory, write_atomic
from firstboot.base.services import read_stack
from firstboot.base.waiting import wait_for
from tests.bench.cgroups import Cgroup
from tests.bench.clients import ImapClient, LmtpClient
from tools.build.image import build_other
from tools.build.source import CHECKOUT
from tools.host.cache import cache_folder
from tools.stack.example import Example, Person
from tools.stack.home import Home
from tools.stack.lifecycle import StackUp, stack_down, stack_up

PEER = Path(__file__).with_name("dovecot")
PEOPLE = tuple(f"person{number}@example.com" for number in range(20))
EXAMPLE = Example(
    "mail.example.com",
    "example.com",
    tuple(Person(address, address.partition("@")[0]) for address in PEOPLE),
)
STORE = "mailstore"
# What takes part in a delivery or a login of ours, by the service's name.
SERVICES = (STORE, "directory", "redis")
USER = 10003  # whom Dovecot's mail belongs to, as ours
SECONDS = 120.0

Report = Callable[[str], None]


@dataclass(frozen=True)
class Server:
    """A mail store that runs. `containers` are ids, the one with the sessions first."""

    name: str
    imap: tuple[str, int]
    lmtp: tuple[str, int]
    passwords: Mapping[str, str]
    containers: Sequence[str]
    api: docker.APIClient

    def log_in(self, person: str, *, nodelay: bool = True) -> ImapClient:
        """Return a connection on which somebody is logged in."""
        client = ImapClient(self.imap, nodelay=nodelay)
        client.log_in(person, self.passwords[person])
        return client

    def deliveries(self) -> LmtpClient:
        """Return a connection for deliveries."""
        return LmtpClient(self.lmtp)

    def cpu_seconds(self) -> float:
        """Processor time that its containers have used so far."""
        return sum(self._cgroup(container).cpu_seconds() for container in self.containers)

    def memory(self) -> int:
        """Bytes that the store's container uses, without file cache that can be given back."""
        return self._cgroup(self.containers[0]).memory()

    def _cgroup(self, container: str) -> Cgroup:
        return Cgroup.of(int(self.api.inspect_container(container)["State"]["Pid"]))


@contextmanager
def servers(base: str, report: Report) -> Iterator[tuple[Server, Server]]:
    """Run ours and the peer, with empty mailboxes, until the context ends."""
    image = build_other(PEER, base, report=report) / "dovecot.tar"
    home = Home(cache_folder("bench") / "stack", "mailstead-bench")
    stack_down(home=home)  # what a killed run has left
    try:
        stack = stack_up(base, report, home=home, example=EXAMPLE)
        api = docker.APIClient(base_url=stack.engine.host, version="auto")
        passwords = {
            person: home.password_file(person).read_text(encoding="ascii") for person in PEOPLE
        }
        ours = _ours(stack, api, passwords)
        with _dovecot(stack, api, passwords, image, report) as peer:
            yield ours, peer
    finally:
        stack_down(home=home)


def _ours(stack: StackUp, api: docker.APIClient, passwords: Mapping[str, str]) -> Server:
    ids = {found.service: found.id for found in stack.engine.containers(stack.home.project)}
    address = _address(api, ids[STORE], f"{stack.home.project}_edge")
    containers = [ids[service] for service in SERVICES]
    return Server("Mailstead", (address, 993), (address, 24), passwords, containers, api)


@contextmanager
def _dovecot(
    stack: StackUp,
    api: docker.APIClient,
    passwords: Mapping[str, str],
    image: Path,
    report: Report,
) -> Iterator[Server]:
    folder = stack.home.folder / "dovecot"
    _write_configuration(stack, folder)
    report("Dovecot: making the container …")
    api.import_image_from_file(str(image), repository="bench/dovecot", tag="latest")
    network = f"{stack.home.project}_edge"
    made = api.create_container(
        "bench/dovecot:latest",
        ["/usr/sbin/dovecot", "-F", "-c", "/bench/dovecot.conf"],
        name=f"{stack.home.project}-dovecot",
        networking_config={"EndpointsConfig": {network: api.create_endpoint_config()}},
        volumes=["/bench", "/srv/mail"],
        host_config=api.create_host_config(
            binds=[f"{folder / 'bench'}:/bench:ro", f"{folder / 'mail'}:/srv/mail"],
            mem_limit=_memory_limit(),
            memswap_limit=_memory_limit(),
            tmpfs={"/run": "", "/tmp": ""},
        ),
    )["Id"]
    try:
        api.start(made)
        address = _address(api, made, network)
        server = Server("Dovecot", (address, 993), (address, 24), passwords, [made], api)
        wait_for(lambda: _answers(server), what="Dovecot's first login", timeout=SECONDS)
        yield server
    except BaseException:
        report(api.logs(made, tail=20).decode(errors="replace"))
        raise
    finally:
        api.remove_container(made, force=True)
        api.remove_image("bench/dovecot:latest", force=True)


def _write_configuration(stack: StackUp, folder: Path) -> None:
    home = stack.home
    make_directory(folder / "bench", mode=0o755)
    make_directory(folder / "mail", mode=0o755)
    shutil.chown(folder / "mail", USER, USER)
    shutil.copy(PEER / "dovecot.conf", folder / "bench")
    shutil.copy(home.config / "secrets" / STORE / "tls/certificate.pem", folder / "bench")
    lines = []
    for person in PEOPLE:
        password = home.password_file(person)
        known = password.with_name(f"{password.name}.hash").read_text(encoding="ascii")
        lines.append(f"{person}:{{ARGON2ID}}{known}\n")
    write_atomic(folder / "bench/users", "".join(lines), mode=0o644)


def _memory_limit() -> int:
    stack = read_stack(CHECKOUT / "compose/services.yaml")
    return next(service.memory for service in stack.services if service.name == STORE)


def _address(api: docker.APIClient, container: str, network: str) -> str:
    networks = api.inspect_container(container)["NetworkSettings"]["Networks"]
    return str(networks[network]["IPAddress"])


def _answers(server: Server) -> bool:
    try:
        with server.log_in(PEOPLE[0]):
            return True
    except OSError:
        return False

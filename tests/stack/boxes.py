"""The stack's containers from the outside: looked into, killed, started."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from firstboot.base.services import Service, read_stack
from firstboot.base.waiting import wait_for
from tools.stack.health import await_health
from tools.stack.lifecycle import SERVICES, StackUp

SECONDS = 240.0


def declared(names: Collection[str]) -> tuple[Service, ...]:
    """The services of these names, as services.yaml has them."""
    return tuple(one for one in read_stack(SERVICES).services if one.name in names)


@dataclass(frozen=True)
class Boxes:
    """Containers by the name of their service; whatever is ended is ended by its id."""

    stack: StackUp
    api: docker.APIClient

    @property
    def ids(self) -> dict[str, str]:
        """The id of each service's container."""
        found = self.stack.engine.containers(self.stack.home.project)
        return {container.service: container.id for container in found}

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker knows of a container."""
        found: dict[str, Any] = self.api.inspect_container(self.ids[service])
        return found

    @property
    def started(self) -> dict[str, str]:
        """When each service's container was started."""
        return {service: self.inspect(service)["State"]["StartedAt"] for service in self.ids}

    def await_log(self, service: str, words: str) -> str:
        """What a container has logged, once these words are in it.

        Docker may be behind: what became of a message can be seen before it can be read there.
        """

        def look() -> str | None:
            text = self.api.logs(self.ids[service]).decode(errors="replace")
            return text if words in text else None

        return wait_for(look, what=f"{words!r} in the log of {service}", timeout=SECONDS)

    def address(self, service: str, network: str) -> str:
        """Its address on one of the stack's networks, which this host can reach."""
        networks = self.inspect(service)["NetworkSettings"]["Networks"]
        address: str = networks[f"{self.stack.home.project}_{network}"]["IPAddress"]
        return address

    def gateway(self, network: str) -> str:
        """This host's address on one of the stack's networks."""
        found = self.api.inspect_network(f"{self.stack.home.project}_{network}")
        gateway: str = found["IPAM"]["Config"][0]["Gateway"]
        return gateway

    def run(self, service: str, *command: str) -> tuple[int, str]:
        """Run a command in a container; exit code and all output."""
        job = self.api.exec_create(self.ids[service], list(command))["Id"]
        output: bytes = self.api.exec_start(job)
        return int(self.api.exec_inspect(job)["ExitCode"]), output.decode(errors="replace")

    def process_status(self, service: str) -> dict[str, str]:
        """/proc/PID/status of a container's first process, as this host sees it (proc(5))."""
        pid = self.inspect(service)["State"]["Pid"]
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def root(self, service: str) -> Path:
        """A container's file system, as this host can look into it while the container runs."""
        return Path(f"/proc/{self.inspect(service)['State']['Pid']}/root")

    def changed_files(self, service: str) -> Sequence[Path]:
        """What differs in a container's layer from its image, mounts left out."""
        changes = self.api.diff(self.ids[service]) or []
        return [self.root(service) / change["Path"].lstrip("/") for change in changes]

    def crash(self, service: str) -> None:
        """End its first process as if it had crashed, so that Docker should start it again."""
        before = self.inspect(service)
        os.kill(before["State"]["Pid"], signal.SIGKILL)
        wait_for(
            lambda: self.inspect(service)["RestartCount"] > before["RestartCount"],
            what=f"Docker's restart of {service}",
            timeout=SECONDS,
            interval=0.1,
        )

    def kill(self, service: str) -> None:
        """`docker kill`: it ends at once and stays down."""
        self.api.kill(self.ids[service], signal="SIGKILL")

    def start(self, service: str) -> None:
        self.api.start(self.ids[service])

    def mend(self) -> None:
        """Start what does not run and wait until everything is healthy."""
        for service, container in self.ids.items():
            if not self.inspect(service)["State"]["Running"]:
                self.api.start(container)
        services = declared(self.ids)
        await_health(self.stack.engine, self.stack.home.project, services, timeout=SECONDS)

    def queue(self) -> int:
        """How many messages wait in the mail queue."""
        code, output = self.run("mta", "postqueue", "-j")
        assert code == 0, output
        return len(output.splitlines())

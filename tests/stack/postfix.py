"""A second Postfix, beside the stack: somebody else's server, which holds what it takes.

It is the stack's own image with a configuration of its own, in the stack's networks.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from firstboot.base.waiting import wait_for
from tests.stack.beside import LABELS, await_greeting
from tools.build.source import CHECKOUT
from tools.stack.lifecycle import StackUp

# `pair.pem` has the key and the certificate.
MAIN = """\
compatibility_level = 3.7
myhostname = {name}
maillog_file = /dev/stdout
data_directory = /var/lib/postfix/data
inet_protocols = all
mydestination =
mynetworks =
local_recipient_maps =
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtpd_tls_chain_files = /etc/postfix/pair.pem
smtpd_tls_received_header = yes
smtpd_recipient_restrictions = check_client_access static:HOLD
"""


@dataclass(frozen=True)
class Held:
    """A message that waits there; lines end in LF."""

    sender: str
    recipients: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class Postfix:
    """A running one. `address` is where it is on the stack's edge."""

    api: docker.APIClient
    name: str
    container: str
    address: str

    def run(self, *command: str) -> str:
        job = self.api.exec_create(self.container, list(command))["Id"]
        output: bytes = self.api.exec_start(job)
        assert self.api.exec_inspect(job)["ExitCode"] == 0, output
        return output.decode()

    def held(self, mark: str) -> Iterator[Held]:
        """What has come with a mark."""
        # One line of JSON for each message; while Postfix starts, postqueue warns of that.
        lines = self.run("postqueue", "-j").splitlines()
        for line in (line for line in lines if line.startswith("{")):
            found = json.loads(line)
            message = self.run("postcat", "-hbq", found["queue_id"])
            if mark in message:
                recipients = tuple(one["address"] for one in found["recipients"])
                yield Held(found["sender"], recipients, message)

    def find(self, mark: str) -> str | None:
        """The message with a mark, if it has come, with `Received` fields and all."""
        return next((each.message for each in self.held(mark)), None)

    def envelope(self, mark: str, recipient: str) -> str | None:
        """The envelope sender of the message with a mark for a recipient, if it has come."""
        found = (each.sender for each in self.held(mark) if recipient in each.recipients)
        return next(found, None)

    def await_envelope(self, mark: str, recipient: str) -> str:
        return wait_for(
            lambda: self.envelope(mark, recipient),
            what=f"{mark} for {recipient} at {self.name}",
            timeout=120,
            interval=0.5,
        )

    def await_message(self, mark: str) -> str:
        return wait_for(
            lambda: self.find(mark), what=f"{mark} at {self.name}", timeout=120, interval=0.5
        )


@contextlib.contextmanager
def postfix(
    stack: StackUp,
    api: docker.APIClient,
    name: str,
    files: Mapping[str, Path],
    *,
    port: int,
    network: str | None = None,
) -> Iterator[Postfix]:
    """A Postfix on the stack's edge, by that name, gone afterwards; `files` are in /etc/postfix.

    It is there when it greets on `port`. `network` is another of the stack's that it is in.
    """
    project = stack.home.project
    edge = f"{project}_edge"
    # The stubs take the dictionary for one endpoint.
    endpoints: Any = {edge: api.create_endpoint_config(aliases=[name])}
    container = api.create_container(
        stack.release.image("mta").reference,
        ["start-mta"],
        labels=dict(LABELS),
        host_config=api.create_host_config(
            binds=[f"{path}:/etc/postfix/{file}:ro" for file, path in files.items()],
            tmpfs={"/var/spool/postfix": "", "/var/lib/postfix": ""},
        ),
        networking_config=api.create_networking_config(endpoints),
    )["Id"]
    try:
        if network:
            api.connect_container_to_network(container, f"{project}_{network}")
        api.start(container)
        networks = api.inspect_container(container)["NetworkSettings"]["Networks"]
        address: str = networks[edge]["IPAddress"]
        await_greeting(address, port)
        yield Postfix(api, name, container, address)
    finally:
        api.remove_container(container, force=True)


def configure(folder: Path, name: str, main: str, master: str) -> dict[str, Path]:
    """main.cf with what is special, and master.cf with the services that face outside.

    The other services are the stack's own.
    """
    services = (CHECKOUT / "compose/mta/master.cf").read_text(encoding="utf-8")
    texts = {
        "main.cf": MAIN.format(name=name) + main,
        "master.cf": master + services[services.index("\npickup ") :],
    }
    for file, text in texts.items():
        (folder / file).write_text(text)
    return {file: folder / file for file in texts}

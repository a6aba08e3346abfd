"""Somebody else's mail server that passes mail on: a second Postfix, beside the stack.

It is the stack's own image with a configuration of its own. It checks logins by asking the stack's
directory, so the people of the tests can log in. What it takes it holds, to be looked at.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from firstboot.base.certificate import make_certificate
from firstboot.base.tls import join_pem
from firstboot.base.waiting import wait_for
from tests.stack.beside import LABELS, await_greeting
from tools.build.source import CHECKOUT
from tools.stack.lifecycle import StackUp

NAME = "smtp.example.net"
MAIN = f"""\
compatibility_level = 3.7
myhostname = {NAME}
maillog_file = /dev/stdout
data_directory = /var/lib/postfix/data
inet_protocols = all
mydestination =
mynetworks =
local_recipient_maps =
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtpd_tls_chain_files = /etc/postfix/{NAME}.pem
smtpd_tls_security_level = encrypt
smtpd_tls_received_header = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:directory:4001
smtpd_sasl_authenticated_header = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_client_access static:HOLD
"""
MASTER = """\
submission  inet  n       -      n      -      -       smtpd
submissions inet  n       -      n      -      -       smtpd
    -o { smtpd_tls_wrappermode = yes }
"""


@dataclass(frozen=True)
class Held:
    """A message that waits there; lines end in LF."""

    sender: str
    recipients: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class SmartHost:
    """`certificate` is the one to trust, for NAME; `address` is where it is on the stack's edge."""

    api: docker.APIClient
    container: str
    certificate: Path
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
            what=f"{mark} for {recipient} at the smart host",
            timeout=120,
            interval=0.5,
        )

    def await_message(self, mark: str) -> str:
        return wait_for(
            lambda: self.find(mark), what=f"{mark} at the smart host", timeout=120, interval=0.5
        )


@contextlib.contextmanager
def smart_host(stack: StackUp, api: docker.APIClient, folder: Path) -> Iterator[SmartHost]:
    """A smart host in the stack's networks, gone afterwards. `folder` is for its files."""
    made = make_certificate(NAME, now=datetime.datetime.now(datetime.UTC))
    certificate = folder / "certificate.pem"
    certificate.write_bytes(made.certificate)
    services = (CHECKOUT / "compose/mta/master.cf").read_text(encoding="utf-8")
    inner = services[services.index("\npickup ") :]
    files = {
        "main.cf": MAIN.encode(),
        "master.cf": (MASTER + inner).encode(),
        f"{NAME}.pem": join_pem(made),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    edge, mail = (f"{stack.home.project}_{name}" for name in ("edge", "mail"))
    # The stubs take the dictionary for one endpoint.
    endpoints: Any = {edge: api.create_endpoint_config(aliases=[NAME])}
    container = api.create_container(
        stack.release.image("mta").reference,
        ["start-mta"],
        labels=dict(LABELS),
        host_config=api.create_host_config(
            binds=[f"{folder / name}:/etc/postfix/{name}:ro" for name in files],
            tmpfs={"/var/spool/postfix": "", "/var/lib/postfix": ""},
        ),
        networking_config=api.create_networking_config(endpoints),
    )["Id"]
    try:
        api.connect_container_to_network(container, mail)
        api.start(container)
        networks = api.inspect_container(container)["NetworkSettings"]["Networks"]
        address: str = networks[edge]["IPAddress"]
        await_greeting(address, 587)
        yield SmartHost(api, container, certificate, address)
    finally:
        api.remove_container(container, force=True)

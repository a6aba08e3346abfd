"""Real servers that backups go to, on the loopback."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from firstboot.base.waiting import wait_for
from tests.unit.firstboot.ports import free_port
from tools.vm.processes import started

SECONDS = 300.0  # what they are made of is read from disk first


@contextmanager
def server(argv: Sequence[str], port: int, log: Path) -> Iterator[None]:
    """A program that listens on the loopback, until the block ends."""
    with started(argv[0], argv, log=log) as process:

        def answers() -> bool:
            assert process.running, process.log_tail()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        wait_for(answers, what=f"{argv[0]} on port {port}", timeout=SECONDS)
        yield


@dataclass(frozen=True)
class S3:
    """A server that speaks S3 and checks signatures; `key` and `secret` are a user's."""

    address: str
    key: str
    secret: str = field(repr=False)

    @property
    def credentials(self) -> str:
        """In the form of AWS."""
        names = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return "[default]\n" + "".join(f"{name} = {value}\n" for name, value in names.items())

    def client(self, service: str = "s3") -> Any:
        return boto3.client(
            service,
            endpoint_url=self.address,
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )


@contextmanager
def s3_server(folder: Path) -> Iterator[S3]:
    """moto's server; one user, who may do everything, and nobody else gets in."""
    port = free_port()
    # The first three calls make the user (moto's manual, "IAM-like access control").
    argv = ["env", "INITIAL_NO_AUTH_ACTION_COUNT=3", sys.executable, "-m", "moto.server"]
    with server([*argv, "-H", "127.0.0.1", "-p", str(port)], port, folder / "log"):
        anybody = S3(f"http://127.0.0.1:{port}", "nobody", "nothing").client("iam")
        anybody.create_user(UserName="mail")
        document = '{"Version": "2012-10-17", "Statement": ['
        document += '{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
        anybody.put_user_policy(UserName="mail", PolicyName="all", PolicyDocument=document)
        made = anybody.create_access_key(UserName="mail")["AccessKey"]
        yield S3(f"http://127.0.0.1:{port}", made["AccessKeyId"], made["SecretAccessKey"])

"""Somebody else's mail server that passes mail on, after a login: a Postfix beside the stack.

It checks logins by asking the stack's directory, so the people of the tests can log in.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker

from firstboot.base.certificate import make_certificate
from firstboot.base.tls import join_pem
from tests.stack.postfix import Postfix, configure, postfix
from tools.stack.lifecycle import StackUp

NAME = "smtp.example.net"
MAIN = """\
smtpd_tls_security_level = encrypt
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:directory:4001
smtpd_sasl_authenticated_header = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
"""
MASTER = """\
submission  inet  n       -      n      -      -       smtpd
submissions inet  n       -      n      -      -       smtpd
    -o { smtpd_tls_wrappermode = yes }
"""


@dataclass(frozen=True)
class SmartHost(Postfix):
    """`certificate` is the one to trust, for NAME."""

    certificate: Path


@contextlib.contextmanager
def smart_host(stack: StackUp, api: docker.APIClient, folder: Path) -> Iterator[SmartHost]:
    """A smart host in the stack's networks, gone afterwards. `folder` is for its files."""
    made = make_certificate(NAME, now=datetime.datetime.now(datetime.UTC))
    certificate, pair = folder / "certificate.pem", folder / "pair.pem"
    certificate.write_bytes(made.certificate)
    pair.write_bytes(join_pem(made))
    files = configure(folder, NAME, MAIN, MASTER) | {pair.name: pair}
    with postfix(stack, api, NAME, files, port=587, network="mail") as running:
        yield SmartHost(**vars(running), certificate=certificate)

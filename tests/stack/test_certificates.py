"""A new certificate reaches every port, and nobody who is connected notices."""

from __future__ import annotations

import contextlib
import datetime
import smtplib
import socket
import ssl
from collections.abc import Iterator

import pytest

from firstboot.base.certificate import Certificate, ensure_certificate, make_certificate
from firstboot.base.services import Stack
from firstboot.base.stack import write_certificate
from firstboot.base.tls import certificate_facts
from firstboot.base.waiting import wait_for
from tests.stack.boxes import Boxes
from tests.stack.mail import SECONDS, Mail
from tests.stack.messages import new_mark, ordinary
from tests.stack.people import GRACE
from tools.stack.example import ADA
from tools.stack.lifecycle import StackUp
from tools.stack.ports import LOOPBACK

SERVICES = ("smtp", "submission", "submissions", "imaps", "https")


@contextlib.contextmanager
def connected(mail: Mail, service: str) -> Iterator[ssl.SSLSocket]:
    """A connection to a port, with TLS."""
    if service == "https":
        address = (LOOPBACK, mail.stack.ports[service])
        with socket.create_connection(address, SECONDS) as plain:
            yield mail.context.wrap_socket(plain, server_hostname=mail.stack.hostname)
    elif service == "imaps":
        with mail.imap_connection() as imap:
            yield _encrypted(imap.socket())
    else:
        with mail.smtp(service) as smtp:
            if service != "submissions":
                smtp.starttls(context=mail.context)
            yield _encrypted(smtp.sock)


def _encrypted(found: object) -> ssl.SSLSocket:
    assert isinstance(found, ssl.SSLSocket)
    return found


def shown(mail: Mail, service: str) -> str | None:
    """The serial of the certificate that a new connection gets; None when it is another's."""
    try:
        with connected(mail, service) as connection:
            certificate = connection.getpeercert(binary_form=True)
    except ssl.SSLCertVerificationError:
        return None
    assert certificate is not None
    return certificate_facts(ssl.DER_cert_to_PEM_cert(certificate).encode()).fingerprint


def show(made: Certificate, stack: StackUp, services: Stack) -> str:
    """Put a certificate into the running stack, as a renewal does; its fingerprint."""
    write_certificate(made, services, stack.home.config)
    for container in stack.engine.containers(stack.home.project):
        for service in services.services:
            if service.name == container.service and service.reload:
                stack.engine.execute(container, service.reload)
    return certificate_facts(made.certificate).fingerprint


@pytest.fixture(scope="module")
def renewed(stack: StackUp, services: Stack, mail: Mail, boxes: Boxes) -> Iterator[str]:
    """The stack after a renewal, over which somebody stayed connected everywhere."""
    made = make_certificate(stack.hostname, now=datetime.datetime.now(datetime.UTC))
    started, mark = boxes.started, new_mark()
    message = ordinary(mark)
    with (
        mail.imap(ADA) as imap,
        mail.submission(ADA) as submission,
        mail.submission(ADA, "submissions") as submissions,
        mail.smtp("smtp") as smtp,
    ):
        smtp.starttls(context=mail.context)
        fingerprint = show(made, stack, services)
        wait_for(
            lambda: all(shown(mail, service) == fingerprint for service in SERVICES),
            what="the new certificate on every port",
            timeout=120,
            interval=0.1,
        )
        # Sessions from before go on: they send, they read, they end in good order.
        for connection in (submission, submissions):
            assert connection.sendmail(ADA.address, [GRACE.address], message) == {}
        assert isinstance(smtp, smtplib.SMTP)
        assert smtp.noop()[0] == 250
        assert imap.noop()[0] == "OK"
    assert mail.fetch(GRACE, mark)
    assert boxes.started == started
    yield fingerprint
    # What comes after starts from the state, where the machine's own certificate is.
    show(ensure_certificate(stack.home.state / "tls", stack.hostname), stack, services)


@pytest.mark.parametrize("service", SERVICES)
def test_new_connections_have_the_new_certificate(mail: Mail, renewed: str, service: str) -> None:
    assert shown(mail, service) == renewed


@pytest.mark.usefixtures("renewed")
def test_who_took_it_is_still_started_again(all_well: Boxes) -> None:
    all_well.crash("mta")


def test_the_machine_trusts_what_is_shown(stack: StackUp, renewed: str) -> None:
    assert certificate_facts(stack.certificate.read_bytes()).fingerprint == renewed

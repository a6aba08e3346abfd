"""Other domains with rules for the mail to them: name server, policies by HTTPS, and a Postfix.

Policies are served by this host, at its address in the stack's network.
"""

from __future__ import annotations

import contextlib
import datetime
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firstboot.base.waiting import wait_for
from firstboot.queue.messages import Message
from firstboot.queue.reasons import explain
from firstboot.queue.spool import Spool
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tests.stack.messages import new_mark, ordinary
from tests.stack.names import zone
from tests.stack.postfix import Postfix, configure, postfix
from tools.stack.example import ADA
from tools.stack.lifecycle import StackUp

PATH = "/.well-known/mta-sts.txt"
NAME = "mx.elsewhere.test"
MAIN = """\
relay_domains = static:all
smtpd_tls_security_level = may
smtpd_relay_restrictions = permit_auth_destination, reject
"""
MASTER = "smtp inet n - n - - smtpd\n"


@dataclass
class Policies:
    """A web server's policies by their domains; `asked` are the domains that it was asked for."""

    texts: Mapping[str, str]
    asked: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Far(Postfix):
    """Everywhere else: the Postfix that takes the mail, and the policies."""

    policies: Policies


def make_pair(folder: Path, names: list[str]) -> tuple[Path, Path]:
    """A certificate for some names that is its own authority: alone, and with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    certificate, pair = folder / "certificate.pem", folder / "pair.pem"
    certificate.write_bytes(made)
    pair.write_bytes(private + made)
    return certificate, pair


def policy(mode: str, server: str) -> str:
    """The text of a policy with one server."""
    return f"version: STSv1\r\nmode: {mode}\r\nmx: {server}\r\nmax_age: 86400\r\n"


def await_waiting(spool: Spool, recipient: str) -> Message:
    """The message to somebody, as soon as it waits for a reason."""

    def look() -> Message | None:
        for message in spool.messages():
            if any(one.address == recipient and one.said for one in message.recipients):
                return message
        return None

    return wait_for(look, what=f"mail to {recipient} in the queue", timeout=120, interval=0.5)


@contextlib.contextmanager
def far(
    boxes: Boxes,
    folder: Path,
    pair: Path,
    texts: Mapping[str, str],
    promised: list[str],
    *,
    certificates: Mapping[str, str] | None = None,
    apart: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[Far]:
    """Domains, each with the server mx.DOMAIN, all of them the one Postfix.

    `texts` are the policies; `promised` are the domains whose records say that there is one. The
    certificate in `pair` is everybody's. With `certificates`, TLSA records by domain, all of it is
    signed (see `zone`) but the zones that are `apart`: of these the root has the records given.
    """
    gateway = boxes.gateway("edge")
    apart = apart or {}
    domains = {*texts, *promised, "plain.test", *(certificates or ())} - set(apart)
    files = configure(folder, NAME, MAIN, MASTER) | {"pair.pem": pair}
    with postfix(boxes.stack, boxes.api, NAME, files, port=25) as running:
        records = [f'_mta-sts.{domain} TXT "v=STSv1; id=1;"' for domain in promised]
        for domain in domains:
            records += [f"{domain} MX 10 mx.{domain}.", f"mx.{domain} A {running.address}"]
            records.append(f"mta-sts.{domain} A {gateway}")
        records += [
            f"_25._tcp.mx.{name} TLSA {data}" for name, data in (certificates or {}).items()
        ]
        records += [f"{name} {data}" for name, found in apart.items() for data in found]
        below = {name: ["@ MX 10 mx", f"mx A {running.address}"] for name in apart}
        policies = Policies(texts)
        with contextlib.ExitStack() as stack:
            stack.enter_context(_web(gateway, pair, policies))
            stack.enter_context(
                zone(boxes, records, folder, below=below, signed=certificates is not None)
            )
            yield Far(**vars(running), policies=policies)


@contextlib.contextmanager
def _web(address: str, pair: Path, policies: Policies) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            domain = self.headers["Host"].removeprefix("mta-sts.")
            policies.asked.append(domain)
            text = policies.texts.get(domain) if self.path == PATH else None
            self.send_response(404 if text is None else 200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair)
    with ThreadingHTTPServer((address, 443), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def require_kept_back(
    stack: StackUp, others: Far, mail: Mail, domain: str, *, text: str, advice: str
) -> None:
    """Mail to a domain waits, its server has seen nothing, and the queue says why in such words."""
    mark = new_mark()
    mail.send(ADA, f"bob@{domain}", ordinary(mark))
    spool = Spool(stack.engine, stack.home.project)
    waiting = await_waiting(spool, f"bob@{domain}")
    said = waiting.recipients[0].said
    assert text in explain(said).text, said
    assert advice in explain(said).advice, said
    assert others.find(mark) is None
    spool.change("delete", (waiting,))

"""The internet as samples need it: servers with addresses, names and records, and signatures."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import smtplib
from collections.abc import Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from firstboot.base.run import run
from tests.bench.samples import Sample
from tests.bench.senders import CLIENTS
from tests.stack.boxes import Boxes
from tests.stack.names import zone
from tests.stack.test_senders import SIGN
from tests.stack.test_transport import PYTHON

SECONDS = 240.0
SELECTOR = "one"
# Names of 2002 may be none that a name server takes.
_NAME = re.compile(r"(?:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]{2,18}")


@contextlib.contextmanager
def outside(boxes: Boxes, samples: Sequence[Sample], folder: Path) -> Iterator[Sequence[bytes]]:
    """Give each sample's server an address, and yield what each of them hands over, signed.

    Only this host has these addresses, and only the stack the records, until the context ends; any
    other name does not exist. `folder` is for files.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    records = sorted(set(_records(samples, key)))
    with contextlib.ExitStack() as stack:
        stack.enter_context(zone(boxes, records, folder))
        run(["ip", "address", "replace", CLIENTS, "dev", "lo"])
        stack.callback(run, ["ip", "address", "del", CLIENTS, "dev", "lo"])
        yield _signed(samples, key)


def hand_over(server: str, number: int, sample: Sample, message: bytes, receiver: str) -> bytes:
    """Bring a message from its own server's address; returns b"", or how it was refused."""
    with smtplib.SMTP(
        server,
        local_hostname=sample.helo,
        timeout=SECONDS,
        source_address=(_address(number), 0),
    ) as smtp:
        try:
            smtp.sendmail(sample.sender, [receiver], message, ["BODY=8BITMIME"])
        except smtplib.SMTPRecipientsRefused as error:
            return next(reply[1] for reply in error.recipients.values())
        except smtplib.SMTPResponseException as error:
            return error.smtp_error if isinstance(error.smtp_error, bytes) else b"refused"
        except smtplib.SMTPServerDisconnected:
            return b"it hung up"
    return b""


def _address(number: int) -> str:
    """The address of a sample's server, within CLIENTS."""
    return f"198.18.{number // 250}.{number % 250 + 1}"


def _records(samples: Sequence[Sample], key: rsa.RSAPrivateKey) -> Iterator[str]:
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = base64.b64encode(public).decode()
    for number, sample in enumerate(samples):
        yield from sample.records
        name, address = sample.name.lower(), _address(number)
        if _NAME.fullmatch(name):
            yield f"{'.'.join(reversed(address.split('.')))}.in-addr.arpa PTR {name}."
            yield f"{name} A {address}"
        if sample.signer:
            name = f"{SELECTOR}._domainkey.{sample.signer}"
            yield f'{name} TXT "v=DKIM1; p=" "{text[:200]}" "{text[200:]}"'


def _signed(samples: Sequence[Sample], key: rsa.RSAPrivateKey) -> Sequence[bytes]:
    """All messages, those that have a signer with its signature, in one go."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    messages = [sample.raw.replace(b"\n", b"\r\n") for sample in samples]
    tasks = {
        number: {
            "message": base64.b64encode(messages[number]).decode(),
            "domain": sample.signer,
            "selector": SELECTOR,
            "key": pem,
            "arc": False,
        }
        for number, sample in enumerate(samples)
        if sample.signer
    }
    answer = run([PYTHON, SIGN], stdin=json.dumps(list(tasks.values()))).stdout
    for number, message in zip(tasks, json.loads(answer), strict=True):
        messages[number] = base64.b64decode(message)
    return messages

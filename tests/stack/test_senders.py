"""Who a message is from: SPF, DKIM, DMARC and ARC of other domains, with a real name server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from firstboot.base.run import run
from firstboot.base.waiting import wait_for
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail, find
from tests.stack.messages import new_mark, ordinary
from tests.stack.names import texts
from tests.stack.test_transport import PYTHON, parsed
from tools.stack.example import ADA

SIGN = Path(__file__).with_name("sign_mail.py")
# Its server is this host, which the stack sees by an address of Docker's networks (RFC 1918).
FRIEND, SELECTOR = "friend@example.org", "first"
SERVERS = "v=spf1 ip4:10.0.0.0/8 ip4:172.16.0.0/12 ip4:192.168.0.0/16 -all"
# Nobody may send for it.
BANK = "bank@example.net"
POLICY = "v=DMARC1; p=reject"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def names(
    boxes: Boxes, key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    records = {
        "example.org": SERVERS,
        "_dmarc.example.org": POLICY,
        f"{SELECTOR}._domainkey.example.org": f"v=DKIM1; p={base64.b64encode(public).decode()}",
        "example.net": "v=spf1 -all",
        "_dmarc.example.net": POLICY,
        "lists.example.edu": SERVERS,
    }
    with texts(boxes, records, tmp_path_factory.mktemp("names")):
        yield


def signed(message: bytes, key: rsa.RSAPrivateKey, *, arc: bool = False) -> bytes:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    task = {
        "message": base64.b64encode(message).decode(),
        "domain": "example.org",
        "selector": SELECTOR,
        "key": pem.decode(),
        "arc": arc,
    }
    (message_signed,) = json.loads(run([PYTHON, SIGN], stdin=json.dumps([task])).stdout)
    return base64.b64decode(message_signed)


def results(message: bytes) -> str:
    (field,) = parsed(message).get_all("Authentication-Results", [])
    return str(field)


def junk(mail: Mail, mark: str) -> bytes:
    """Ada's message with the mark, once it is in Junk."""
    with mail.imap(ADA) as imap:

        def look() -> bytes | None:
            imap.select("Junk")
            return next(find(imap, mark), None)

        return wait_for(look, what="a message in Junk", timeout=240, interval=0.5)


@pytest.mark.usefixtures("names")
def test_who_signs_and_sends_from_its_servers_passes(mail: Mail, key: rsa.RSAPrivateKey) -> None:
    mark = new_mark()
    mail.receive([ADA.address], signed(ordinary(mark, sender=FRIEND), key), sender=FRIEND)
    found = results(mail.fetch(ADA, mark))
    for result in ("dkim=pass", "spf=pass", "dmarc=pass"):
        assert result in found


@pytest.mark.usefixtures("names")
def test_a_changed_message_has_no_valid_signature(mail: Mail, key: rsa.RSAPrivateKey) -> None:
    mark = new_mark()
    message = signed(ordinary(mark, sender=FRIEND), key) + b"and one thing more\r\n"
    mail.receive([ADA.address], message, sender=FRIEND)
    found = results(mail.fetch(ADA, mark))
    assert "dkim=fail" in found
    # Its servers may send for it, signed or not (RFC 7489, 3.1.2).
    assert "dmarc=pass" in found


@pytest.mark.usefixtures("names")
def test_what_a_forwarder_vouches_for(mail: Mail, key: rsa.RSAPrivateKey) -> None:
    mark = new_mark()
    theirs = b"Authentication-Results: example.org; spf=pass smtp.mailfrom=example.net\r\n"
    message = signed(theirs + ordinary(mark, sender=FRIEND), key, arc=True)
    mail.receive([ADA.address], message, sender=FRIEND)
    found = results(mail.fetch(ADA, mark))
    assert "arc=pass" in found
    assert "dkim=none" in found


@pytest.mark.usefixtures("names")
def test_a_forged_sender_goes_to_junk(mail: Mail) -> None:
    """What its domain asks others to refuse, as a mailing list's changed copy may be as well."""
    mark = new_mark()
    mail.receive([ADA.address], ordinary(mark, sender=BANK), sender=BANK)
    found = results(junk(mail, mark))
    assert "spf=fail" in found
    assert "dmarc=fail" in found
    assert mail.count(ADA, mark) == 0


def listed(message: bytes) -> bytes:
    """As a mailing list sends it to its members, unchanged but for fields of its own (RFC 2369)."""
    fields = (
        "List-Id: Analytical engines <engines.lists.example.edu>",
        "List-Post: <mailto:engines@lists.example.edu>",
        "List-Unsubscribe: <mailto:engines-leave@lists.example.edu>",
        "Precedence: list",
        "",
    )
    return "\r\n".join(fields).encode() + message


@pytest.mark.usefixtures("names")
def test_a_message_of_a_mailing_list(mail: Mail, key: rsa.RSAPrivateKey) -> None:
    """Its author's domain asks to refuse forgeries; the signature says that it is none."""
    mark = new_mark()
    message = listed(signed(ordinary(mark, sender=FRIEND), key))
    mail.receive([ADA.address], message, sender="engines-bounces@lists.example.edu")
    delivered = mail.fetch(ADA, mark)
    found = results(delivered)
    for result in ("dkim=pass", "spf=pass", "dmarc=pass"):
        assert result in found
    assert parsed(delivered)["List-Id"] == "Analytical engines <engines.lists.example.edu>"
    assert parsed(delivered)["Return-Path"] == "<engines-bounces@lists.example.edu>"


@pytest.mark.usefixtures("names")
def test_a_message_that_a_mailing_list_has_changed(mail: Mail, key: rsa.RSAPrivateKey) -> None:
    """No signature is left of its author's, so it might be anybody's: to Junk, but not away."""
    mark = new_mark()
    message = listed(signed(ordinary(mark, sender=FRIEND), key)) + b"-- \r\nTo leave, ask.\r\n"
    mail.receive([ADA.address], message, sender="engines-bounces@lists.example.edu")
    found = results(junk(mail, mark))
    for result in ("dkim=fail", "spf=pass", "dmarc=fail"):
        assert result in found

"""Mail to others by what their signed records say of their certificates (DANE, RFC 7672)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from firstboot.base.services import Stack
from firstboot.base.waiting import wait_for
from tests.nameserver import make_key
from tests.stack.boxes import Boxes
from tests.stack.changed import use_settings
from tests.stack.mail import Mail
from tests.stack.messages import new_mark, ordinary
from tests.stack.people import EXAMPLE
from tests.stack.policies import Far, far, make_pair, policy, require_kept_back
from tools.stack.example import ADA, example_settings
from tools.stack.lifecycle import StackUp

OF_NOBODY = "00" * 32
# By its policy the first would get no mail, and the second would.
POLICIES = {
    "both.test": policy("enforce", "mx.elsewhere.test"),
    "both-wrong.test": policy("enforce", "mx.both-wrong.test"),
}
CHANGED = ("mta", "sts", "resolver")
# Neither is signed, of which the root says the same about the first alone.
APART = {
    "plain.test": ["NS a.root."],
    "bogus.test": ["NS a.root.", f"DS 1 13 2 {OF_NOBODY}"],
}


@pytest.fixture(scope="module")
def others(
    stack: StackUp, services: Stack, boxes: Boxes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Far]:
    folder = tmp_path_factory.mktemp("far")
    names = [*(f"mta-sts.{domain}" for domain in POLICIES), "mx.both-wrong.test"]
    certificate, pair = make_pair(folder, names)
    root_key = folder / "root.key"
    root_key.write_text(f". DS {make_key(folder, '.')}\n")
    root_key.chmod(0o644)
    settings = example_settings(EXAMPLE, stack.home)
    use_settings(
        stack,
        services,
        settings,
        CHANGED,
        authority=certificate,
        trusting=("mta", "sts"),
        root_key=root_key,
    )
    right, wrong = f"3 1 1 {key_digest(certificate)}", f"3 1 1 {OF_NOBODY}"
    certificates = {
        "right.test": right,
        "both.test": right,
        "wrong.test": wrong,
        "both-wrong.test": wrong,
    }
    promised = [*POLICIES, "unnamed.test"]
    try:
        with far(
            boxes, folder, pair, POLICIES, promised, certificates=certificates, apart=APART
        ) as found:
            yield found
    finally:
        use_settings(stack, services, settings, CHANGED)


def key_digest(certificate: Path) -> str:
    """SHA-256 of a certificate's public key, as in a TLSA record of kind 3 1 1 (RFC 6698, 2.1)."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_bytes(serialization.Encoding.DER, form)).hexdigest()


def verified(boxes: Boxes, domain: str) -> bool:
    """Whether a connection to its server was one to the server that the records tell."""
    log = boxes.api.logs(boxes.ids["mta"]).decode()
    return f"Verified TLS connection established to mx.{domain}" in log


@pytest.mark.parametrize("domain", ["right.test", "both.test"])
def test_the_server_whose_certificate_the_records_tell_gets_its_mail(
    others: Far, mail: Mail, boxes: Boxes, domain: str
) -> None:
    """Though no authority vouches for its name; nor does another kind of policy count beside."""
    mark = new_mark()
    mail.send(ADA, f"bob@{domain}", ordinary(mark))
    assert "with ESMTPS id" in others.await_message(mark)
    wait_for(lambda: verified(boxes, domain), what="the connection in the log", timeout=120)


@pytest.mark.parametrize("domain", ["wrong.test", "both-wrong.test"])
def test_another_server_gets_nothing_and_the_queue_says_why(
    stack: StackUp, others: Far, mail: Mail, domain: str
) -> None:
    require_kept_back(stack, others, mail, domain, text="certificate", advice="DANE")


@pytest.mark.parametrize("domain", ["unnamed.test", "plain.test"])
def test_who_tells_nothing_gets_mail_as_ever(
    others: Far, mail: Mail, boxes: Boxes, domain: str
) -> None:
    """Encrypted, with whatever certificate: signed records without one, and unsigned ones."""
    mark = new_mark()
    mail.send(ADA, f"bob@{domain}", ordinary(mark))
    assert "with ESMTPS id" in others.await_message(mark)
    assert not verified(boxes, domain)


def test_wrong_signatures_are_not_believed(stack: StackUp, others: Far, mail: Mail) -> None:
    require_kept_back(stack, others, mail, "bogus.test", text="looked up", advice="DNSSEC")

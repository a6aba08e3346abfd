"""Renewal information (ARI, RFC 9773): when an authority wants a certificate to be renewed.

Such as before it revokes it, or to spread what all of its customers do. It is asked for without an
account, by the number of the certificate and the key of who issued it.
"""

from __future__ import annotations

import base64
import datetime
import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import requests
from cryptography import x509

from firstboot.base.errors import MailsteadError

SECONDS = 20.0
MOST_BYTES = 64 << 10
MOST_CHARACTERS = 500
# When to ask again: as the authority says, within bounds; else RFC 9773, 4.3.2.
SHORTEST = datetime.timedelta(minutes=1)
LONGEST = datetime.timedelta(days=1)
USUAL = datetime.timedelta(hours=6)


class RenewalInfoError(MailsteadError):
    """The authority did not say, or not with sense; what it said before goes on to count."""


@dataclass(frozen=True)
class Window:
    """When the authority wants the renewal; `again` is how long this answer is good.

    `reason` is a page that tells why, "" as a rule.
    """

    begins: datetime.datetime
    ends: datetime.datetime
    again: datetime.timedelta
    reason: str = ""


def ask_renewal_window(directory: str, certificate: bytes, trust: Path | None) -> Window | None:
    """When to renew a certificate (PEM); None where the authority does not give such advice.

    `trust` is as in an Order. Raises RenewalInfoError.
    """
    number = certificate_number(certificate)
    where = _fetch(directory, trust)[0].get("renewalInfo")
    if number is None or not isinstance(where, str) or not where.startswith("https://"):
        return None
    document, retry = _fetch(f"{where.rstrip('/')}/{number}", trust)
    try:
        found = document["suggestedWindow"]
        begins, ends = (datetime.datetime.fromisoformat(str(found[k])) for k in ("start", "end"))
        if not begins < ends:
            raise ValueError
        # Times without a zone cannot be compared.
        begins, ends = begins.astimezone(datetime.UTC), ends.astimezone(datetime.UTC)
    except (KeyError, TypeError, ValueError):
        raise RenewalInfoError(f"{where} gives no window: {str(document)[:200]}") from None
    return Window(begins, ends, retry, _page(document.get("explanationURL")))


def certificate_number(pem: bytes) -> str | None:
    """The identifier of RFC 9773, 4.1; None where a certificate does not name its issuer's key."""
    found = x509.load_pem_x509_certificate(pem)
    try:
        extension = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    key, number = extension.value.key_identifier, found.serial_number
    if not key:
        return None
    # As in DER: a first bit that is set would make it negative, so a zero byte comes before it.
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")
    return f"{_text(key)}.{_text(serial)}"


def _page(found: object) -> str:
    """An address that can be shown, or ""."""
    if isinstance(found, str) and found.isprintable() and found.startswith("https://"):
        return found[:MOST_CHARACTERS]
    return ""


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _fetch(url: str, trust: Path | None) -> tuple[dict[str, Any], datetime.timedelta]:
    """A JSON object, and how long it is good."""
    try:
        with requests.get(
            url, timeout=SECONDS, verify=str(trust) if trust else True, stream=True
        ) as answer:
            answer.raise_for_status()
            document = json.loads(answer.raw.read(MOST_BYTES, decode_content=True))
            retry = answer.headers.get("Retry-After", "")
    except (requests.RequestException, OSError, ValueError) as error:
        raise RenewalInfoError(f"{url} was not to be had: {error}") from None
    if not isinstance(document, dict):
        raise RenewalInfoError(f"{url} is no JSON object")
    return document, _good_for(retry)


def _good_for(retry: str) -> datetime.timedelta:
    """What Retry-After says (RFC 9110, 10.2.3), within bounds."""
    try:
        if retry.isascii() and retry.isdigit():
            found = datetime.timedelta(seconds=int(retry[:9]))
        else:
            found = parsedate_to_datetime(retry) - datetime.datetime.now(datetime.UTC)
    except (ValueError, TypeError):
        return USUAL
    return min(max(found, SHORTEST), LONGEST)

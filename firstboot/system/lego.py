"""lego(1): a client of certificate authorities that speak ACME (RFC 8555).

Each call orders a new certificate with a new key. lego keeps its account below a folder of ours and
registers a new one when it is not there. What it says of a failure is turned into an AuthorityError
with what to do.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from firstboot.base.certificate import Certificate
from firstboot.base.errors import CommandError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.firewall import CHALLENGE_HTTPS, HTTPS
from firstboot.base.renewal import CertificateError
from firstboot.base.run import run
from firstboot.base.tls import split_pem

SECONDS = 900.0
# Where an authority asks (RFC 8555, 8.3; RFC 8737).
PORTS = {"http-01": 80, "tls-alpn-01": 443}

# The problem types of RFC 8555, 6.7, that say something to an owner.
_HINTS = {
    "connection": "The authority must reach this machine by its name: look at its DNS records "
    "(mailstead dns check), and that the router passes on port 80 (http-01) or 443 (tls-alpn-01).",
    "dns": "The host name must be found in the DNS, with the addresses of this machine "
    "(mailstead dns check).",
    "unauthorized": "Somebody else answers under this name: its DNS records must lead to this "
    "machine (mailstead dns check).",
    "caa": "A CAA record of the domain forbids this authority: add it, or choose another.",
    "rejectedIdentifier": "This authority does not issue for this name.",
    "externalAccountRequired": "This authority wants a contract; choose another.",
}
_URN = re.compile(r"urn:ietf:params:acme:error:(\w+) :: (.+)")
_RETRY = re.compile(r"retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)")
_STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ")
_MOST_CHARACTERS = 600


class AuthorityError(CertificateError):
    """An authority gave no certificate.

    `kind` is the problem type of RFC 8555, "" when it did not come so far; `retry` is before when
    the authority does not want to be asked again, if it has said so.
    """

    def __init__(
        self, message: str, hint: str, kind: str, retry: datetime.datetime | None = None
    ) -> None:
        super().__init__(message, hint)
        self.kind = kind
        self.retry = retry


@dataclass(frozen=True)
class Order:
    """What is asked of which authority, and how it is shown that the names are ours.

    `folder` is lego's own, which lasts; `trust` is a PEM file with the roots by which the authority
    itself is known (None: those of the system). `listen` is the address that the challenge is
    answered at, if not all addresses of the machine and the port that the authority asks, or what
    that is diverted to.
    """

    folder: Path
    directory: str
    email: str
    names: tuple[str, ...]
    challenge: str
    dns_provider: str | None = None
    dns_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    trust: Path | None = None
    listen: str = ""


def obtain(order: Order, runtime: Path) -> Certificate:
    """Order a certificate; raises AuthorityError.

    An account that the authority has forgotten, or that cannot be read any more, is replaced by a
    new one. `runtime` is a folder that does not last: the provider's secrets go through it.
    """
    _drop_damaged_accounts(order.folder)
    try:
        _run(order, runtime)
    except AuthorityError as error:
        if error.kind != "accountDoesNotExist":
            raise
        forget_account(order.folder)
        _run(order, runtime)
    found = obtained(order)
    if found is None:
        raise AuthorityError("the authority's answer holds no certificate that can be used", "", "")
    return found


def obtained(order: Order) -> Certificate | None:
    """What lego got last, if it is whole: also what a power cut kept from being put to use."""
    file = order.folder / "certificates" / order.names[0]
    try:
        key = file.with_name(f"{file.name}.key").read_bytes()
        return split_pem(key + file.with_name(f"{file.name}.crt").read_bytes())
    except (OSError, ValueError):
        return None


def forget_account(folder: Path) -> None:
    """Make the next order register a new account."""
    shutil.rmtree(folder / "accounts", ignore_errors=True)


def _drop_damaged_accounts(folder: Path) -> None:
    """lego writes its files in place, so a power cut may leave half of one, which stops it."""
    for file in folder.glob("accounts/*/*/account.json"):
        key = next(file.parent.glob("keys/*.key"), None)
        try:
            whole = isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
        except (OSError, ValueError):
            whole = False
        if not whole or key is None or b"-----END" not in key.read_bytes():
            shutil.rmtree(file.parent)
    # A key without an account is one that was never registered.
    for keys in folder.glob("accounts/*/*/keys"):
        if not (keys.parent / "account.json").exists():
            shutil.rmtree(keys.parent)


def _run(order: Order, runtime: Path) -> None:
    make_directory(order.folder, mode=0o700)
    argv = [
        "lego",
        *("--path", str(order.folder), "--server", order.directory),
        *("--email", order.email, "--accept-tos", "--key-type", "ec256"),
        *(word for name in order.names for word in ("--domains", name)),
        *_challenge(order),
        "run",
    ]
    with _environment(order, runtime) as environment:
        try:
            run(argv, env=environment, timeout=SECONDS)
        except CommandError as error:
            if error.returncode in {126, 127}:
                raise
            raise explain(error.message) from None


def _challenge(order: Order) -> list[str]:
    if order.challenge == "dns-01":
        return ["--dns", order.dns_provider or ""]
    kind = "tls" if order.challenge == "tls-alpn-01" else "http"
    port = CHALLENGE_HTTPS if PORTS[order.challenge] == HTTPS else PORTS[order.challenge]
    return [f"--{kind}", f"--{kind}.port", order.listen or f":{port}"]


@contextlib.contextmanager
def _environment(order: Order, runtime: Path) -> Iterator[dict[str, str]]:
    """What lego and its DNS provider are told; secrets in files, by VARIABLE_FILE."""
    secrets = runtime / "lego"
    make_directory(secrets, mode=0o700)
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(secrets)}
    if order.trust is not None:
        environment["LEGO_CA_CERTIFICATES"] = str(order.trust)
    try:
        for name, value in order.dns_environment.items():
            write_atomic(secrets / name, value, mode=0o600)
            environment[f"{name}_FILE"] = str(secrets / name)
        yield environment
    finally:
        shutil.rmtree(secrets, ignore_errors=True)


def explain(output: str) -> AuthorityError:
    """What lego's output of a failure means."""
    lines = [_STAMP.sub("", line.strip()) for line in output.splitlines()]
    # "retry due to" is of problems that it got over, such as a nonce that was too old.
    lines = [line for line in lines if line and not line.startswith("[INFO]")]
    for line in lines:
        if match := _URN.search(line):
            kind, detail = match[1], match[2].removesuffix(", url:").strip()
            return AuthorityError(
                f"the authority refuses ({kind}): {detail[:_MOST_CHARACTERS]}",
                _HINTS.get(kind, ""),
                kind,
                _retry(detail),
            )
    text = (lines[-1] if lines else "lego failed")[:_MOST_CHARACTERS]
    if "x509: certificate has expired or is not yet valid" in output:
        return AuthorityError(
            "the authority's own certificate is not valid at the time that this clock shows",
            "If the clock of this machine is wrong, let it reach a time server (UDP port 123).",
            "",
        )
    if "address already in use" in output:
        return AuthorityError(text, "Another program of this machine uses the port.", "")
    return AuthorityError(
        f"the authority could not be asked: {text}",
        "Look at the network and at tls.directory in the settings; it is tried again by itself.",
        "",
    )


def _retry(detail: str) -> datetime.datetime | None:
    """The time in the text of a rateLimited problem, as Let's Encrypt writes it, in UTC."""
    match = _RETRY.search(detail)
    if match is None:
        return None
    return datetime.datetime.fromisoformat(f"{match[1]}T{match[2]}+00:00")

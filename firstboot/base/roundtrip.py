"""A mail round trip: what a person's mail program does, with an answer about every byte.

Submit over 587 with STARTTLS and authentication, wait until IMAP shows the message, compare, and
delete it. The only certificate that is trusted is the one given, for the name that it is given for.
"""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import imaplib
import re
import secrets
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from firstboot.base.errors import DeadlineError, RoundTripError, UnreachableError
from firstboot.base.waiting import wait_for

LOOPBACK = "127.0.0.1"
ANSWER_SECONDS = 60.0
DELIVERY_SECONDS = 180.0
HINT = "`mailstead status` shows the containers, the journal of mta and mailstore what they did."

# X509_V_FLAG_NO_CHECK_TIME, see X509_VERIFY_PARAM_set_flags(3); Python has no name for it.
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)

# What a server on the way may put in front of a message: RFC 5321, 4.4; RFC 8601, 2; and
# Postfix's Delivered-To and X-Original-To.
TRACE_FIELDS = frozenset({"return-path", "received", "delivered-to", "x-original-to"}).union(
    {"authentication-results", "dkim-signature", "x-spam-status"}
)


@dataclass(frozen=True)
class RoundTrip:
    """Size of the message as sent, and the seconds each part took."""

    bytes: int
    submit_seconds: float
    delivery_seconds: float
    delete_seconds: float

    @property
    def seconds(self) -> float:
        return self.submit_seconds + self.delivery_seconds + self.delete_seconds


@dataclass(frozen=True)
class Account:
    """Somebody's mailbox: whose, and how to reach its servers on this host's loopback address.

    `hostname` is whom the certificate must name, `submission` and `imaps` are ports here,
    `patience` are the seconds that a server may take for one answer.
    """

    hostname: str
    address: str
    password: str = field(repr=False)
    submission: int
    imaps: int
    context: ssl.SSLContext
    patience: float = ANSWER_SECONDS


def trusting(certificate: Path | str) -> ssl.SSLContext:
    """Trusts one certificate and no other: a file, or the certificate itself as PEM.

    Its dates do not count: who knows the very certificate need not ask how long an authority
    vouches for it, and a clock may be wrong.

    Raises OSError when the file is missing or holds none (ssl.SSLError is one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # One that an authority has issued is trusted without the authority.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    if isinstance(certificate, Path):
        context.load_verify_locations(cafile=certificate)
    else:
        context.load_verify_locations(cadata=certificate)
    return context


def round_trip(
    account: Account,
    *,
    timeout: float = DELIVERY_SECONDS,
    meanwhile: Callable[[], None] = lambda: None,
) -> RoundTrip:
    """Send one message from an account to itself and get it back.

    Delivery may take `timeout` seconds; each look for it calls `meanwhile` first. Raises
    RoundTripError naming the step that failed; the message is deleted where that is still possible.
    """
    message = make_message(account.address, account.hostname)
    with _step(f"IMAP on port {account.imaps}"), open_imap(account) as imap:
        first_uid = _select_inbox(imap)
        started = time.monotonic()
        with _step(f"submission on port {account.submission}"):
            _submit(account, account.address, message)
        submitted = time.monotonic()
        uid, fetched = _await_message(imap, first_uid, message, timeout, meanwhile)
        delivered = time.monotonic()
        _delete(imap, uid)
        deleted = time.monotonic()
    if difference := message_difference(message, fetched):
        raise RoundTripError(f"the message came back changed: {difference}", HINT)
    return RoundTrip(
        len(message),
        round(submitted - started, 3),
        round(delivered - submitted, 3),
        round(deleted - delivered, 3),
    )


def make_message(address: str, hostname: str) -> bytes:
    """A complete message with CRLF line ends, which no server has a reason to touch.

    It has what servers add when it is missing (Date, From, Message-ID), and lines that broken
    software spoils: a leading dot, "From " at the start, trailing space, an empty last line.
    """
    token = secrets.token_hex(16)
    lines = [
        f"From: {address}",
        f"To: {address}",
        "Subject: Mailstead round trip",
        f"Date: {email.utils.format_datetime(datetime.datetime.now(datetime.UTC))}",
        f"Message-ID: <{token}@{hostname}>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
        "",
        f"This machine checks its own mail. {token}",
        ".a line that begins with a dot",
        ".",
        "From here on, nothing may be quoted.",
        "trailing space ",
        "-" * 900,
        "",
    ]
    return "".join(line + "\r\n" for line in lines).encode("ascii")


def message_mark(message: bytes) -> bytes:
    """The Message-ID by which one of `make_message` is known among others."""
    return message.partition(b"Message-ID: ")[2].partition(b"\r\n")[0]


def message_difference(sent: bytes, fetched: bytes) -> str | None:
    """How a delivered message differs from the one sent, or None.

    Servers on the way put trace fields in front of a message and may change nothing else
    (RFC 5321, 4.4 and 6.4). So what comes back must end with exactly the bytes sent, and in front
    of them must be nothing but whole trace fields: no byte lost, changed, added or reordered.
    """
    if not fetched.endswith(sent):
        return f"its {len(sent)} bytes are not the end of the {len(fetched)} delivered"
    trace = fetched[: len(fetched) - len(sent)]
    # A field may be folded: a line that begins with white space continues it (RFC 5322, 2.2.3).
    fields = re.sub(rb"\r\n[ \t]", b" ", trace)
    if fields and not fields.endswith(b"\r\n"):
        return "what was put in front of it is not whole lines"
    for line in fields.split(b"\r\n")[:-1]:
        name = line.partition(b":")[0].decode("ascii", "replace").strip().lower()
        if name not in TRACE_FIELDS:
            return f"something other than a trace field was put in front of it: {name[:40]!r}"
    return None


class _LocalSMTP(smtplib.SMTP):
    """SMTP to this machine, whatever its name resolves to; the name still has to be proven."""

    def _get_socket(self, _host: str, port: int, timeout: float) -> socket.socket:
        return socket.create_connection((LOOPBACK, port), timeout)


class _LocalIMAP(imaplib.IMAP4_SSL):
    """IMAP with implicit TLS to this machine, whatever its name resolves to."""

    def _create_socket(self, timeout: float | None) -> socket.socket:
        plain = socket.create_connection((LOOPBACK, self.port), timeout)
        context: ssl.SSLContext = self.ssl_context
        return context.wrap_socket(plain, server_hostname=self.host)


def submit(account: Account, recipient: str, message: bytes) -> None:
    """Send one message from an account. Raises RoundTripError."""
    with _step(f"submission on port {account.submission}"):
        _submit(account, recipient, message)


def _submit(account: Account, recipient: str, message: bytes) -> None:
    smtp = _LocalSMTP(
        account.hostname,
        account.submission,
        # Otherwise the library asks the DNS for a name, which may take its time.
        local_hostname=account.hostname,
        timeout=account.patience,
    )
    with smtp:
        smtp.starttls(context=account.context)
        smtp.login(account.address, account.password)
        smtp.sendmail(account.address, [recipient], message)


@contextlib.contextmanager
def open_imap(account: Account) -> Iterator[imaplib.IMAP4]:
    """A session that is logged in; raises what `imaplib` and the connection raise."""
    imap = _LocalIMAP(
        account.hostname, account.imaps, ssl_context=account.context, timeout=account.patience
    )
    try:
        imap.login(account.address, account.password)
        yield imap
    finally:
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            imap.logout()


def _select_inbox(imap: imaplib.IMAP4) -> int:
    """Open INBOX; returns the UID that the next message will have at least (RFC 9051, 2.3.1.1)."""
    _ok(imap.select("INBOX"), "SELECT")
    value = imap.response("UIDNEXT")[1][0]
    if value is None:
        raise RoundTripError("IMAP SELECT did not tell UIDNEXT", HINT)
    return int(value)


def _await_message(
    imap: imaplib.IMAP4,
    first_uid: int,
    sent: bytes,
    timeout: float,
    meanwhile: Callable[[], None],
) -> tuple[int, bytes]:
    """Wait for the message that carries our Message-ID; returns its UID and content."""
    mark = message_mark(sent)
    seen: set[int] = set()

    def look() -> tuple[int, bytes] | None:
        meanwhile()
        _ok(imap.noop(), "NOOP")
        for uid in _new_uids(imap, first_uid) - seen:
            content = _fetch(imap, uid)
            if content is not None and mark in content:
                return uid, content
            # Another round trip may be under way at the same time.
            seen.add(uid)
        return None

    try:
        return wait_for(look, what="delivery", timeout=timeout, interval=0.25)
    except DeadlineError as error:
        raise RoundTripError(f"the message was accepted, but {error}", HINT) from None


def _new_uids(imap: imaplib.IMAP4, first_uid: int) -> set[int]:
    lines = _ok(imap.uid("FETCH", f"{first_uid}:*", "(UID)"), "FETCH")
    found = {int(match[1]) for line in lines if (match := re.search(rb"UID (\d+)", _bytes(line)))}
    # `n:*` always includes the last message, even if its UID is below n (RFC 9051, 9).
    return {uid for uid in found if uid >= first_uid}


def _fetch(imap: imaplib.IMAP4, uid: int) -> bytes | None:
    for part in _ok(imap.uid("FETCH", str(uid), "(BODY.PEEK[])"), "FETCH"):
        if isinstance(part, tuple):
            return bytes(part[1])
    return None


def _delete(imap: imaplib.IMAP4, uid: int) -> None:
    _ok(imap.uid("STORE", str(uid), "+FLAGS", r"(\Deleted)"), "STORE")
    _ok(imap.expunge(), "EXPUNGE")
    if uid in _new_uids(imap, uid):
        raise RoundTripError("the message is still there after EXPUNGE", HINT)


def _ok(answer: tuple[str, Sequence[object]], command: str) -> Sequence[object]:
    status, data = answer
    if status != "OK":
        raise RoundTripError(f"IMAP {command} was refused: {data!r}", HINT)
    return data


def _bytes(part: object) -> bytes:
    if isinstance(part, tuple):
        part = part[0]
    return part if isinstance(part, bytes) else b""


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    """Name the step in every error of the protocol libraries and of the connection."""
    try:
        yield
    except (smtplib.SMTPException, imaplib.IMAP4.error, OSError, ValueError) as error:
        raise UnreachableError(f"{name}: {error or type(error).__name__}", HINT) from None

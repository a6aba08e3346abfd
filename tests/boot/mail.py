"""Mail as a person's program and as a foreign server send it to a machine under test."""

from __future__ import annotations

import smtplib

from firstboot.base.roundtrip import Account, open_imap
from tools.vm import Machine

# Seconds for one answer of an emulated machine.
TIMEOUT = 120.0


def deliver(machine: Machine, recipient: str, marker: str) -> None:
    """Hand in a message on port 25 as another server would; returns once it was accepted (250)."""
    message = f"From: bob@example.net\r\nTo: {recipient}\r\nSubject: {marker}\r\n\r\n{marker}\r\n"
    with smtplib.SMTP(
        "127.0.0.1", machine.ports["smtp"], local_hostname="client.example.net", timeout=TIMEOUT
    ) as smtp:
        smtp.sendmail("bob@example.net", [recipient], message)


def has_message(account: Account, marker: str) -> bool:
    """Whether INBOX has a message with this subject."""
    with open_imap(account) as imap:
        imap.select("INBOX", readonly=True)
        _, found = imap.search(None, "SUBJECT", f'"{marker}"')
    return bool(found[0])

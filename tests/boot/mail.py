"""Mail as a person's program and as a foreign server send it to a machine under test."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

from firstboot.base.roundtrip import Account, open_imap
from tools.boot.appliance import ANSWER_SECONDS
from tools.vm import Machine

CLIENT = "client.example"
SENDER = f"bob@{CLIENT}"


def deliver(machine: Machine, recipient: str, marker: str) -> None:
    """Hand in a message on port 25 as another server would; returns once it was accepted (250).

    It has all that decent mail has, or it might be taken for spam; and it comes from a domain that
    says nothing about who may send for it, since it does not exist (RFC 2606).
    """
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, recipient, marker
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=CLIENT)
    message.set_content(f"{marker}\r\n")
    patience, port = machine.accelerator.scaled(ANSWER_SECONDS), machine.ports["smtp"]
    with smtplib.SMTP("127.0.0.1", port, local_hostname=CLIENT, timeout=patience) as smtp:
        smtp.sendmail(SENDER, [recipient], message.as_bytes(policy=SMTP))


def has_message(account: Account, marker: str) -> bool:
    """Whether INBOX has a message with this subject."""
    with open_imap(account) as imap:
        imap.select("INBOX", readonly=True)
        _, found = imap.search(None, "SUBJECT", f'"{marker}"')
    return bool(found[0])

"""Mail from the machine to the owner of a mailbox, about that mailbox."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from postmaster.storage.interface import NewMessage, arrival_time


def notice(owner: str, subject: str, text: str) -> NewMessage:
    """Return a message from the postmaster of the owner's domain; `owner` is an address."""
    domain = owner.rpartition("@")[2]
    mail = EmailMessage()
    mail["From"] = f"Mailstead <postmaster@{domain}>"
    mail["To"] = owner
    mail["Subject"] = subject
    mail["Date"] = format_datetime(arrival_time())
    mail["Message-ID"] = make_msgid(domain=domain)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834
    mail.set_content(text)
    raw = mail.as_bytes(policy=mail.policy.clone(linesep="\r\n"))
    return NewMessage(raw, frozenset(), arrival_time())

"""Rules of Rspamd that need nothing from the net: what a message shows by itself."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

import pytest

from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tests.stack.messages import new_mark
from tests.stack.people import STRANGER
from tools.stack.example import ADA


def list_message(message: EmailMessage) -> None:
    """To a list, and handed on to its members."""
    message.replace_header("To", "talk@lists.example.org")
    message["List-Id"] = "<talk.lists.example.org>"
    message["List-Post"] = "<mailto:talk@lists.example.org>"
    message["List-Unsubscribe"] = "<mailto:talk-leave@lists.example.org>"
    message["Precedence"] = "list"
    message.set_content("The water is off on Monday.\n")


def misleading_link(message: EmailMessage) -> None:
    html = '<p>Log in: <a href="https://www.example.net/x">https://www.example.com/login</a></p>\n'
    message.set_content(html, subtype="html")


def packed_program(message: EmailMessage) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("invoice.pdf.exe", b"MZ" + bytes(4000))
    message.set_content("The invoice.\n")
    message.add_attachment(archive.getvalue(), "application", "zip", filename="invoice.zip")


@pytest.mark.parametrize(
    ("write", "says", "says_not"),
    [
        (list_message, r"\bMAILLIST\(", r"\bFORGED_RECIPIENTS\("),
        (misleading_link, r"\bPHISHING\(", r"\bMAILLIST\("),
        (packed_program, r"add header, .*\bMIME_DOUBLE_BAD_EXTENSION\(", r"\bPHISHING\("),
    ],
)
def test_what_a_message_shows(
    mail: Mail,
    boxes: Boxes,
    write: Callable[[EmailMessage], None],
    says: str,
    says_not: str,
) -> None:
    mark = new_mark()
    message = EmailMessage(SMTP)
    message["From"], message["To"], message["Subject"] = STRANGER, ADA.address, "Monday"
    message["Date"], message["Message-ID"] = formatdate(), f"<{mark}@example.org>"
    write(message)
    mail.receive([ADA.address], message.as_bytes())
    log = boxes.await_log("rspamd", mark)
    (verdict,) = (line for line in log.splitlines() if mark in line and "score:" in line)
    assert re.search(says, verdict)
    assert not re.search(says_not, verdict)

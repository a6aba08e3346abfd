"""How generated mail is written: from plain text to what hides it."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from html import escape

# What looks like another letter, and what is not seen at all.
_ALIKE = str.maketrans("aeopcxy", "\u0430\u0435\u043e\u0440\u0441\u0445\u0443")
_UNSEEN = "\u200b"


@dataclass(frozen=True)
class Content:
    """What is to be written: `domain` is where its links lead, `seen` the one they seem to."""

    text: str
    domain: str
    seen: str
    dice: random.Random

    def link(self) -> str:
        """Another page of the sender's."""
        return f"https://{self.domain}/{self.dice.getrandbits(48):x}"


def plain(message: EmailMessage, content: Content) -> None:
    """Text, and nothing else."""
    message.set_content(content.text)


def listed(message: EmailMessage, content: Content) -> None:
    """As a mailing list hands it on."""
    address = str(message["To"])
    message["List-Id"] = f"<{address.replace('@', '.')}>"
    message["List-Post"] = f"<mailto:{address}>"
    message["List-Unsubscribe"] = f"<https://{content.domain}/leave>"
    message["Precedence"] = "list"
    message.set_content(f"{content.text}\n-- \ntalk\nhttps://{content.domain}/talk\n")


def both(message: EmailMessage, content: Content) -> None:
    """Text, and the same as HTML with a link."""
    link = content.link()
    message.set_content(f"{content.text}\n{link}\n")
    paragraphs = "".join(f"<p>{escape(one)}</p>\n" for one in content.text.split("\n\n"))
    message.add_alternative(
        f"<!DOCTYPE html>\n<html><head><title>{escape(str(message['Subject']))}</title></head>\n"
        f'<body style="font-family: sans-serif">{paragraphs}<p><a href="{link}">Open</a></p>\n'
        "</body></html>\n",
        subtype="html",
    )


def newsletter(message: EmailMessage, content: Content) -> None:
    """HTML with pictures from elsewhere, and a way to leave (RFC 8058)."""
    message["List-Unsubscribe"] = f"<{content.link()}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(f"{content.text}\nRead it in a browser: {content.link()}\n")
    rows = "".join(
        f'<tr><td><img src="{content.link()}.png" width="600" alt=""></td></tr>\n'
        f'<tr><td style="padding: 20px; font-size: 16px">{escape(one)} '
        f'<a href="{content.link()}">Read more</a></td></tr>\n'
        for one in content.text.split("\n\n")
    )
    message.add_alternative(
        f'<html><body style="background-color: #eeeeee"><table width="600">{rows}</table>\n'
        f'<p><small><a href="{content.link()}">Unsubscribe</a></small></p></body></html>\n',
        subtype="html",
    )


def receipt(message: EmailMessage, content: Content) -> None:
    """With a document attached."""
    both(message, content)
    document = b"%PDF-1.4\n" + content.dice.randbytes(6000) + b"\n%%EOF\n"
    message.add_attachment(document, "application", "pdf", filename="invoice.pdf")


def calendar(message: EmailMessage, content: Content) -> None:
    """With an event to be answered (RFC 6047)."""
    both(message, content)
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//example//EN",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:{content.dice.getrandbits(64):x}",
        "DTSTAMP:20261130T080000Z",
        "DTSTART:20261207T100000Z",
        f"SUMMARY:{message['Subject']}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
    message.add_alternative("\n".join(lines), subtype="calendar", params={"method": "REQUEST"})


def broken(message: EmailMessage, content: Content) -> None:
    """HTML alone that no program has written well."""
    del message["Date"]
    body = "<BR>".join(escape(one) for one in content.text.split("\n"))
    message.set_content(
        f"<HTML><BODY bgcolor=yellow><FONT size=7 color=#FF0000><center><B>{body}"
        f"<a href=http://{content.domain}/{content.dice.getrandbits(32):x}>CLICK HERE</B>"
        f"<TABLE><TD><font color=#ffffff size=1>{content.dice.getrandbits(400):x}\n",
        subtype="html",
    )


def misleading(message: EmailMessage, content: Content) -> None:
    """A link that shows another place than it leads to."""
    text = "".join(f"<p>{escape(one)}</p>\n" for one in content.text.split("\n\n"))
    message.set_content(
        f'<html><body><img src="https://{content.seen}/logo.png">{text}'
        f'<a href="{content.link()}">https://{content.seen}/login</a></body></html>\n',
        subtype="html",
    )


def obfuscated(message: EmailMessage, content: Content) -> None:
    """Letters of other alphabets, and some that nobody sees."""
    dice = content.dice
    letters = (
        one.translate(_ALIKE) + (_UNSEEN if dice.random() < 0.2 else "") for one in content.text
    )
    subject = str(message["Subject"]).translate(_ALIKE)
    message.replace_header("Subject", subject)
    text = escape("".join(letters))
    message.set_content(
        f'<html><body><p>{text}</p><a href="{content.link()}">GO</a></body></html>\n',
        subtype="html",
        cte="base64",
    )


def picture(message: EmailMessage, content: Content) -> None:
    """Nothing to read."""
    message.set_content(
        f'<html><body><a href="{content.link()}"><img src="cid:a"></a></body></html>\n',
        subtype="html",
    )
    image = b"\x89PNG\r\n\x1a\n" + content.dice.randbytes(20_000)
    message.add_related(image, "image", "png", cid="<a>")


def packed(message: EmailMessage, content: Content) -> None:
    """With a program in an archive."""
    message.set_content(content.text)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("document.pdf.exe", b"MZ" + content.dice.randbytes(9000))
    message.add_attachment(archive.getvalue(), "application", "zip", filename="document.zip")


FORMS: Mapping[str, Callable[[EmailMessage, Content], None]] = {
    "plain": plain,
    "list": listed,
    "newsletter": newsletter,
    "receipt": receipt,
    "alternative": both,
    "calendar": calendar,
    "broken": broken,
    "link": misleading,
    "obfuscated": obfuscated,
    "picture": picture,
    "archive": packed,
}

"""Mail of today, made by a seed from letters.yaml, forms.py and senders.py."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import yaml

from tests.bench.forms import FORMS, Content
from tests.bench.samples import Sample
from tests.bench.senders import SENDERS, Sender

LETTERS = Path(__file__).with_name("letters.yaml")
_POLICY = SMTP.clone(linesep="\n")


def make_letters(each: int, seed: int, receiver: str, now: datetime) -> Iterator[Sample]:
    """Yield `each` messages of every kind, and as many to be taught.

    For a seed they are the same but for the boundaries of their parts. The wordings of a kind take
    turns; what is taught has none but the first.
    """
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    letters = yaml.safe_load(LETTERS.read_text(encoding="utf-8"))
    for spam in (False, True):
        for kind, letter in letters["spam" if spam else "ham"].items():
            for number in range(2 * each):
                taught = number < each
                wording = letter["wordings"][0 if taught else number % len(letter["wordings"])]
                drawn = {name: dice.choice(values) for name, values in letters["slots"].items()}
                author = f"{drawn['name']} {drawn['family']}"
                sender = SENDERS[letter["server"]](dice, author, receiver)
                message = _message(letter, sender, receiver, now, dice)
                message["Subject"] = subject = wording["subject"].format(**drawn)
                if not spam and subject.startswith("Re: "):
                    message["In-Reply-To"] = f"<{dice.getrandbits(80):x}@example.com>"
                content = Content(
                    wording["text"].format(**drawn),
                    sender.domain,
                    sender.author[1].partition("@")[2],
                    dice,
                )
                FORMS[letter["form"]](message, content)
                yield Sample(
                    spam,
                    kind,
                    message.as_bytes(),
                    sender.envelope,
                    sender.helo,
                    sender.name,
                    taught,
                    sender.records,
                    sender.signer,
                )


def _message(
    letter: Mapping[str, Any],
    sender: Sender,
    receiver: str,
    now: datetime,
    dice: random.Random,
) -> EmailMessage:
    """All header fields but for the subject and those of its form."""
    message = EmailMessage(_POLICY)
    name, address = sender.author
    if sender.name == sender.helo:
        # A server that is one has the message from somebody.
        message["Received"] = f"by {sender.helo} with ESMTPSA; {format_datetime(now)}"
    message["Date"] = format_datetime(now - timedelta(seconds=dice.randint(5, 900)))
    message["From"] = Address(name, addr_spec=address)
    message["To"] = sender.list_address or receiver
    message["Message-ID"] = f"<{dice.getrandbits(80):x}@{address.partition('@')[2]}>"
    if letter.get("reply_to"):
        message["Reply-To"] = f"claims.office{dice.randint(1, 999)}@gmail.com"
    return message

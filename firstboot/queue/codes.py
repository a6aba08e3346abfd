"""Enhanced status codes (RFC 3463, and IANA's registry of them) in plain words.

The class (4 for now, 5 for good) says nothing new about what is still in the queue, so that the
table has subject and detail only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """Why a message waits, and what to do; both sentences for people."""

    text: str
    advice: str


_WAIT = "Nothing: it is tried again by itself."
_ASK = "Ask the recipient, by other means, whether the address is right."
_THEIRS = "Whoever runs the recipient's server has to put that right; it is tried again meanwhile."
_SEND_LESS = "Send it in smaller parts, or as a link."
_REPUTATION = "Look at `mailstead check` and `mailstead dns check`: address, name and records."

CODES: dict[str, Reason] = {
    # Other or undefined.
    "0.0": Reason("The other server gave no reason.", _WAIT),
    # Addresses.
    "1.0": Reason("Something is wrong with an address.", _ASK),
    "1.1": Reason("There is no such mailbox.", _ASK),
    "1.2": Reason("The domain of the recipient does not take mail.", _ASK),
    "1.3": Reason("The other server does not understand the recipient's address.", _ASK),
    "1.4": Reason("The recipient's address means several people there.", _ASK),
    "1.5": Reason("The recipient's address is right, but was not expected.", _WAIT),
    "1.6": Reason("The recipient's mailbox has moved, and nobody knows where to.", _ASK),
    "1.7": Reason("The other server does not understand the sender's address.", _REPUTATION),
    "1.8": Reason("The other server cannot find the sender's domain.", _REPUTATION),
    "1.9": Reason("The message was passed on to a server that speaks another protocol.", _WAIT),
    "1.10": Reason("The domain of the recipient says that it takes no mail at all.", _ASK),
    # Mailboxes.
    "2.0": Reason("Something is wrong with the recipient's mailbox.", _WAIT),
    "2.1": Reason("The recipient's mailbox is closed, or takes no mail at the moment.", _ASK),
    "2.2": Reason("The recipient's mailbox is full.", "Tell the recipient by other means."),
    "2.3": Reason("The message is too large for the recipient.", _SEND_LESS),
    "2.4": Reason("A mailing list at the other server does not work.", _THEIRS),
    # The other system.
    "3.0": Reason("The other server has a problem of its own.", _THEIRS),
    "3.1": Reason("The other server has no room left.", _THEIRS),
    "3.2": Reason("The other server takes no mail at the moment.", _WAIT),
    "3.3": Reason("The other server cannot do what the message needs.", _THEIRS),
    "3.4": Reason("The message is too large for the other server.", _SEND_LESS),
    "3.5": Reason("The other server is not set up right.", _THEIRS),
    # The network.
    "4.0": Reason("The network on the way has a problem.", _WAIT),
    "4.1": Reason("The other server does not answer.", _WAIT),
    "4.2": Reason("The connection to the other server broke.", _WAIT),
    "4.3": Reason("A name on the way cannot be looked up.", "Look at `mailstead check`: resolver."),
    "4.4": Reason("No way to the recipient's domain is known.", _ASK),
    "4.5": Reason("The other server has too much to do.", _WAIT),
    "4.6": Reason(
        "The message goes in circles.", "Look whether two addresses forward to each other."
    ),
    "4.7": Reason("It was tried for too long.", _ASK),
    # The protocol.
    "5.0": Reason("The two servers do not understand each other.", _THEIRS),
    "5.1": Reason("The other server does not know a command.", _THEIRS),
    "5.2": Reason("The other server cannot read a command.", _THEIRS),
    "5.3": Reason("The message has more recipients than the other server takes.", _WAIT),
    "5.4": Reason("The other server does not take the parameters of a command.", _THEIRS),
    "5.5": Reason("The two servers speak different versions of the protocol.", _THEIRS),
    "5.6": Reason("The exchange of the login was too long.", _THEIRS),
    # The content.
    "6.0": Reason("The other server cannot take what is in the message.", _SEND_LESS),
    "6.1": Reason("The other server does not take this kind of content.", _SEND_LESS),
    "6.2": Reason("The content would have to be changed, which is not allowed.", _SEND_LESS),
    "6.3": Reason("The content would have to be changed, which the server cannot do.", _SEND_LESS),
    "6.4": Reason("The content was changed on the way, and something was lost.", _SEND_LESS),
    "6.5": Reason("The content could not be changed for the other server.", _SEND_LESS),
    # Security and policy.
    "7.0": Reason("The other server refuses it by a rule of its own.", _REPUTATION),
    "7.1": Reason(
        "The other server does not take mail from here, or not this message.", _REPUTATION
    ),
    "7.2": Reason("The sender may not write to this mailing list.", "Ask who runs the list."),
    "7.3": Reason("The other server would have to change the message to let it through.", _THEIRS),
    "7.4": Reason("The other server does not support a means of security.", _THEIRS),
    "7.5": Reason("The other server could not decrypt or check something.", _THEIRS),
    "7.6": Reason("The other server does not know an algorithm.", _THEIRS),
    "7.7": Reason("The other server found the message damaged.", _WAIT),
    "7.8": Reason("The login was refused.", "Correct relay.username and relay.password."),
    "7.9": Reason("The way of logging in is too weak for the other server.", _THEIRS),
    "7.10": Reason("The other server wants encryption.", _THEIRS),
    "7.20": Reason("The other server finds no signature (DKIM) that it accepts.", _REPUTATION),
    "7.21": Reason("The other server accepts none of the signatures (DKIM).", _REPUTATION),
    "7.22": Reason("No signature (DKIM) is of the sender's domain.", _REPUTATION),
    "7.23": Reason("By the SPF record this server may not send for the domain.", _REPUTATION),
    "7.24": Reason("The SPF record of the domain cannot be read.", _REPUTATION),
    "7.25": Reason("The name of this machine's address (reverse DNS) is not right.", _REPUTATION),
    "7.26": Reason("Neither SPF nor DKIM convinced the other server.", _REPUTATION),
    "7.27": Reason("The sender's domain says that it takes no mail.", _REPUTATION),
    "7.28": Reason("The other server finds that too much mail comes from here.", _WAIT),
}

# The plain codes of SMTP (RFC 5321, 4.2.3), for servers that say no other.
BASIC: dict[str, str] = {
    "421": "3.2",
    "432": "7.4",
    "450": "2.1",
    "451": "3.0",
    "452": "3.1",
    "454": "7.0",
    "500": "5.1",
    "501": "5.4",
    "502": "5.1",
    "503": "5.0",
    "504": "5.4",
    "530": "7.1",
    "534": "7.9",
    "535": "7.8",
    "550": "7.1",
    "551": "1.6",
    "552": "2.2",
    "553": "1.3",
    "554": "7.1",
    "555": "5.4",
    "556": "1.10",
}


def code_reason(subject: str, detail: str) -> Reason:
    """The reason of a code such as 2 and 2; for one that is not known, that of its subject."""
    found = CODES.get(f"{subject}.{detail}") or CODES.get(f"{subject}.0")
    return found or CODES["0.0"]

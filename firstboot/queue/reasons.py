"""Why a message waits: Postfix's reason, or another server's answer in it, in plain words."""

from __future__ import annotations

import re
from typing import NamedTuple

from firstboot.queue.codes import BASIC, Reason, code_reason

# Another server's answer within Postfix's words: `… said: 450 4.2.1 …`.
_ANSWER = re.compile(
    r"(?: said| refused to talk to me): ([45]\d\d)\b(?:[ -][45]\.(\d{1,3})\.(\d{1,3})(?![\d.]))?"
)
_BY_ITSELF = "Nothing: it is tried again by itself."
_RELAY_LOGIN = "Set relay.username and relay.password in the settings as its owner says."


class _Phrase(NamedTuple):
    pattern: str
    reason: Reason


def _phrase(pattern: str, text: str, advice: str = _BY_ITSELF) -> _Phrase:
    return _Phrase(pattern, Reason(text, advice))


# What says more than a code does; the first that fits counts.
_BEFORE_CODES: tuple[_Phrase, ...] = (
    # The container's own server for signing (master.cf, sign).
    _phrase(
        r"\b127\.0\.0\.1\[127\.0\.0\.1\]",
        "It waits to be signed: Rspamd does not answer.",
        "Look at `mailstead status`; it is tried again every minute.",
    ),
    _phrase(
        r"(?<![\w.-])mailstore\[[^]]*\] said: 4\d\d[ -]4\.2\.2",
        "The mailbox has reached its quota.",
        "Raise the quota in the settings, or have the person delete something.",
    ),
    _phrase(
        r"(?<![\w.-])mailstore\[[^]]*\] said: 4\d\d[ -]4\.3\.1",
        "The disk of this machine is nearly full.",
        "Look at `mailstead status`; make room, or take a larger disk.",
    ),
    _phrase(
        r"(?<![\w.-])mailstore(\[[^]]*\]:24|:| type=)",
        "The mail store of this machine does not answer.",
        "Look at `mailstead status`; it is tried again every minute.",
    ),
    _phrase(
        r"SASL authentication failed(; server \S+ said: 4|: cannot)",
        "The smart host cannot check the login at the moment.",
    ),
    _phrase(r"SASL authentication failed", "The smart host does not take the login.", _RELAY_LOGIN),
    _phrase(
        r"(?i) said: (530|[45].*(relay access denied|relaying denied|relay not permitted))",
        "The smart host wants a login, or does not know this one.",
        _RELAY_LOGIN,
    ),
    _phrase(
        r"(?i)\bgr[ae]y-?list",
        "The other server lets unknown senders wait (greylisting).",
        "Nothing: it gets through within the hour.",
    ),
    _phrase(
        r"(?i)spamhaus|spamcop|block ?list|blacklist|\brbl\b|\bdnsbl\b|\blisted (at|in|by|on)",
        "The other server refuses this machine's address: it is on a blocklist.",
        "`mailstead check` tells on which; have it taken off there, or send through a smart host.",
    ),
    _phrase(
        r"(?i)rate.?limit|too many (messages|connections|recipients)|sending too fast",
        "The other server finds that too much mail comes from here.",
    ),
)

# Postfix's own words about what it could not do; the first that fits counts.
_PLAIN: tuple[_Phrase, ...] = (
    _phrase(
        r"TLSA lookup error|non DNSSEC destination|no TLSA records found|TLSA records unusable",
        "Which certificate the other server must show cannot be looked up (DANE).",
        "Its owner has to mend name servers or signatures (DNSSEC).",
    ),
    _phrase(
        r"map lookup problem|lookup error|address resolver failure",
        "The directory of this machine does not answer.",
        "Look at `mailstead status`; it is tried again every minute.",
    ),
    _phrase(
        r"connect to .*:25: (Connection timed out|No route to host|Network is unreachable)",
        "The other server does not answer.",
        "If it is so with all of them, port 25 is closed to this machine: `mailstead check` tells.",
    ),
    _phrase(
        r"connect to .*: (Connection timed out|No route to host|Network is unreachable)",
        "The other server does not answer.",
        "Look at `mailstead check`: network, and the smart host if there is one.",
    ),
    _phrase(
        r"connect to .*: Connection refused", "Nobody takes mail at the other server at the moment."
    ),
    _phrase(
        r"Host or domain name not found|unable to look up host|Name service error|"
        r"Host not found|Malformed or unexpected name server reply",
        "A name cannot be looked up: the recipient's domain, or its server.",
        "See whether the address is right; if it is so with all, `mailstead check`: resolver. "
        "Otherwise its owner has to mend name servers or signatures (DNSSEC).",
    ),
    _phrase(
        r"mail for \S+ loops back to myself",
        "The records of the recipient's domain lead to this machine, which does not know it.",
        "Take the domain into the settings, or have its MX record corrected.",
    ),
    _phrase(
        r"Server certificate not (verified|trusted)|certificate (verification|verify) failed",
        "The other server shows a certificate that is not its own, or that nobody vouches for.",
        "The recipient's domain wants its mail to go to nobody else (MTA-STS, DANE): its owner has "
        "to mend that. With a smart host: see whether relay.host is the name in its certificate.",
    ),
    _phrase(
        r"TLS is required, but|Cannot start TLS|TLS not available",
        "The other server does not encrypt, and nothing is sent to it in the clear.",
        "The recipient's domain wants it so (MTA-STS, DANE): its owner has to mend that. "
        "With a smart host: see relay.tls and relay.port in the settings.",
    ),
    _phrase(
        r"client TLS configuration problem",
        "How the other domain wants its mail encrypted cannot be looked up: `sts` does not run.",
        "Look at `mailstead status`; it is tried again every minute.",
    ),
    _phrase(
        r"lost connection with|conversation with .* timed out|read timeout",
        "The connection to the other server broke.",
    ),
    _phrase(
        r"mail transport unavailable|unknown mail transport|Server configuration",
        "A part of the mail service does not run.",
        "Look at `mailstead status`, and at `mailstead logs --services`.",
    ),
)
PHRASES = (*_BEFORE_CODES, *_PLAIN)
UNTRIED = Reason("It is on its way.", "Nothing.")
UNKNOWN = Reason("It could not be delivered so far.", _BY_ITSELF)


def explain(said: str) -> Reason:
    """A delay reason of Postfix ("" before the first try) in plain words.

    The words may quote another server. Its enhanced status code (RFC 3463) decides, else the code
    of SMTP; where Postfix got no answer, its own words do.
    """
    if not said:
        return UNTRIED
    for phrase in _BEFORE_CODES:
        if re.search(phrase.pattern, said):
            return phrase.reason
    if found := _ANSWER.search(said):
        basic, subject, detail = found.groups()
        if subject is None:
            subject, _, detail = BASIC.get(basic, "0.0").partition(".")
        return code_reason(subject, detail)
    for phrase in _PLAIN:
        if re.search(phrase.pattern, said):
            return phrase.reason
    return UNKNOWN

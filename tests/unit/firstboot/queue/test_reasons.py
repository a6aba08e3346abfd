"""Reasons in plain words: every code of RFC 3463, and what Postfix says of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstboot.queue.codes import BASIC, CODES, code_reason
from firstboot.queue.reasons import PHRASES, UNKNOWN, UNTRIED, explain

# RFC 3463, 3.1 to 3.8: how many details each subject has.
RFC_3463 = {0: 0, 1: 8, 2: 4, 3: 5, 4: 7, 5: 5, 6: 5, 7: 7}


def test_every_code_of_the_rfc_has_words() -> None:
    for subject, most in RFC_3463.items():
        assert {f"{subject}.{detail}" for detail in range(most + 1)} <= CODES.keys()
    for reason in CODES.values():
        assert reason.text.endswith(".")
        assert reason.advice.endswith(".")
    assert set(BASIC.values()) <= CODES.keys()


def test_a_code_that_nobody_knows_is_one_of_its_subject() -> None:
    assert code_reason("7", "99") == CODES["7.0"]
    assert code_reason("9", "9") == CODES["0.0"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        # What Postfix 3.10 and servers of others said.
        (
            "host mx.example.org[192.0.2.22] said: 452 4.2.2 The email account that you tried to "
            "reach is over quota (in reply to RCPT TO command)",
            "mailbox is full",
        ),
        (
            "host mx.example.org[192.0.2.22] said: 450-4.2.1 The user you are trying to contact is "
            "receiving mail 450-4.2.1 at a rate (in reply to RCPT TO command)",
            "takes no mail at the moment",
        ),
        (
            "host mx.example.org[2001:db8::4.2.2.1] said: 421-4.7.28 unusual rate of mail",
            "too much mail",
        ),
        (
            "host mx.example.org[192.0.2.22] said: 450 4.2.0 <bob@example.org>: Recipient address "
            "rejected: Greylisted, see http://postgrey.example (in reply to RCPT TO command)",
            "greylisting",
        ),
        (
            "host mx.example.org[192.0.2.22] said: 451 4.7.650 The mail server has been "
            "temporarily rate limited due to IP reputation.",
            "too much mail comes from here",
        ),
        (
            "host mx.example.org[192.0.2.22] refused to talk to me: 421 4.3.2 All server ports are "
            "busy",
            "takes no mail at the moment",
        ),
        (
            "host mx.example.org[192.0.2.22] refused to talk to me: 554 5.7.1 Service unavailable; "
            "Client host [198.51.100.1] blocked using zen.spamhaus.org",
            "blocklist",
        ),
        ("host mx.example.org[192.0.2.22] said: 451 try later", "a problem of its own"),
        ("host mx.example.org[192.0.2.22] said: 499 hm", "gave no reason"),
        # The quoted server does not speak of this machine's parts.
        ("host x.example[192.0.2.1] said: 451 4.3.5 lookup error", "not set up right"),
        ("connect to mailstore.example.org[192.0.2.1]:25: Connection refused", "Nobody takes mail"),
        # No answer.
        ("connect to mx.example.org[192.0.2.22]:25: Connection timed out", "does not answer"),
        ("connect to mx.example.org[2001:db8::1]:25: Network is unreachable", "does not answer"),
        ("connect to smtp.example.net[192.0.2.1]:587: Connection timed out", "does not answer"),
        (
            "delivery temporarily suspended: connect to smtp.example.net[127.0.0.1]:2466: "
            "Connection refused",
            "Nobody takes mail",
        ),
        ("lost connection with mx.example.org[192.0.2.22] while receiving EHLO", "broke"),
        (
            "conversation with mx.example.org[192.0.2.22] timed out while sending message body",
            "broke",
        ),
        ("unable to look up host nowhere.invalid: Name or service not known", "looked up"),
        (
            "Host or domain name not found. Name service error for name=example.org type=MX: Host "
            "not found, try again",
            "looked up",
        ),
        ("mail for example.org loops back to myself", "lead to this machine"),
        # A smart host.
        (
            "SASL authentication failed; server smtp.example.net[127.0.0.1] said: 535 5.7.8 Error: "
            "authentication failed: (reason unavailable)",
            "does not take the login",
        ),
        (
            "SASL authentication failed; server smtp.example.net[127.0.0.1] said: 454 4.7.0 "
            "Temporary authentication failure: Connection lost to authentication server",
            "cannot check the login at the moment",
        ),
        (
            "host smtp.example.net[127.0.0.1] said: 554 5.7.1 <bob@example.org>: Relay access "
            "denied (in reply to RCPT TO command)",
            "wants a login",
        ),
        ("host smtp.example.net[192.0.2.1] said: 530-5.7.0 Authentication Required", "wants a l"),
        ("Server certificate not verified", "certificate"),
        ("TLSA lookup error for mx.example.org:25", "Which certificate"),
        ("no TLSA records found", "Which certificate"),
        (
            "TLS is required, but was not offered by host smtp.example.net[192.0.2.1]",
            "does not encrypt",
        ),
        # The machine's own services.
        (
            "host 127.0.0.1[127.0.0.1] said: 451 4.7.1 Service unavailable - try again later (in "
            "reply to end of DATA command)",
            "signed: Rspamd does not answer",
        ),
        ("connect to mailstore[172.18.0.3]:24: Connection refused", "mail store of this machine"),
        (
            "Host or domain name not found. Name service error for name=mailstore type=A: Host not "
            "found",
            "mail store of this machine",
        ),
        (
            "host mailstore[172.18.0.3] said: 452 4.2.2 <bob@example.com> the mailbox is full (in "
            "reply to end of DATA command)",
            "reached its quota",
        ),
        ("host mailstore[172.18.0.3] said: 452 4.3.1 disk full (in reply to MAIL)", "nearly full"),
        ("mail transport unavailable", "A part of the mail service does not run"),
    ],
)
def test_reasons(said: str, words: str) -> None:
    reason = explain(said)
    assert words in reason.text
    assert reason.advice.endswith(".")


def test_port_25_that_is_closed_leads_to_the_check() -> None:
    closed = "connect to mx.example.org[192.0.2.22]:25: Connection timed out"
    assert "port 25 is closed" in explain(closed).advice


def test_before_the_first_try_there_is_no_reason() -> None:
    assert explain("") == UNTRIED
    assert explain("whatever else") == UNKNOWN


@given(st.text())
def test_the_words_are_ours_whatever_another_server_says(text: str) -> None:
    ours = {*CODES.values(), *(phrase.reason for phrase in PHRASES), UNKNOWN}
    assert explain(f"host mx.example.org[192.0.2.1] said: {text}") in ours

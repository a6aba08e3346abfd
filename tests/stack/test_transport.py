"""What leaves is signed, what comes in is judged, and Rspamd, however it is, stops no mail."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import smtplib
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

import pytest

from firstboot.base.dkim import SELECTORS, ensure_keys
from firstboot.base.run import run
from tests.stack.boxes import Boxes
from tests.stack.mail import HELO, Mail
from tests.stack.messages import likely_spam, new_mark, ordinary, with_body
from tests.stack.people import EXAMPLE, GRACE, STRANGER
from tools.stack.example import ADA
from tools.stack.lifecycle import StackUp

# The host's own, which has dkimpy.
PYTHON = "/usr/bin/python3"
VERIFY = Path(__file__).with_name("verify_dkim.py")
# By which whoever tries out a spam filter is known to it.
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"


def parsed(message: bytes) -> EmailMessage:
    found = email.message_from_bytes(message, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def signatures(stack: StackUp, message: bytes) -> list[list[str | bool]]:
    """Domain, selector, algorithm and validity of each signature, by the records of the stack.

    They are those that `mailstead dns` shows: both come from the same keys.
    """
    keys = ensure_keys(stack.home.state / "dkim", (EXAMPLE.domain,))
    records = {f"{key.selector}._domainkey.{key.domain}.": key.text for key in keys}
    task = {"message": base64.b64encode(message).decode(), "records": records}
    found: list[list[str | bool]] = json.loads(run([PYTHON, VERIFY], stdin=json.dumps(task)).stdout)
    return sorted(found)


SIGNED = [
    [EXAMPLE.domain, SELECTORS["ed25519"], "ed25519-sha256", True],
    [EXAMPLE.domain, SELECTORS["rsa"], "rsa-sha256", True],
]


@pytest.mark.parametrize("service", ["submission", "submissions"])
def test_what_people_send_is_signed(stack: StackUp, mail: Mail, service: str) -> None:
    mark = new_mark()
    with mail.submission(ADA, service) as smtp:
        smtp.sendmail(ADA.address, [GRACE.address], ordinary(mark))
    message = mail.fetch(GRACE, mark)
    assert signatures(stack, message) == SIGNED
    # Where Ada is, and what her program calls her computer, is not told.
    received = parsed(message).get_all("Received", [])
    assert [HELO in field or " from " in f" {field}" for field in received] == [False] * 2
    # The mailstore knows by the queue's own field, first of all, what it has got already.
    assert parsed(message).keys()[:3] == ["Return-Path", "Delivered-To", "Received"]
    # Of a changed message nothing verifies.
    changed = message.replace(mark.encode(), new_mark().encode())
    assert {valid for *_, valid in signatures(stack, changed)} == {False}


def test_what_others_send_is_not_signed(stack: StackUp, mail: Mail) -> None:
    """Also when it claims to be from here."""
    mark = new_mark()
    mail.receive([GRACE.address], ordinary(mark), sender=ADA.address)
    assert signatures(stack, mail.fetch(GRACE, mark)) == []


def test_only_our_verdicts_are_left(mail: Mail) -> None:
    mark = new_mark()
    forged = (
        f"Authentication-Results: {EXAMPLE.hostname}; dkim=pass header.d=bank.example\r\n"
        "X-Spam: No\r\nX-Spam-Flag: NO\r\n"
    ).encode()
    mail.receive([ADA.address], forged + ordinary(mark, sender=STRANGER))
    message = parsed(mail.fetch(ADA, mark))
    assert "X-Spam" not in message
    assert "X-Spam-Flag" not in message
    (results,) = message.get_all("Authentication-Results", [])
    assert results.startswith(f"{EXAMPLE.hostname};")
    assert "bank.example" not in results
    assert "spf=" in results
    assert "dmarc=" in results


def test_people_forge_no_verdicts_for_each_other(mail: Mail) -> None:
    mark = new_mark()
    forged = f"Authentication-Results: {EXAMPLE.hostname}; dmarc=pass\r\n".encode()
    mail.send(ADA, GRACE.address, forged + ordinary(mark))
    assert "Authentication-Results" not in parsed(mail.fetch(GRACE, mark))


def test_hopeless_spam_is_refused_in_the_session(mail: Mail) -> None:
    mark = new_mark()
    with pytest.raises(smtplib.SMTPDataError) as refused:
        mail.receive([ADA.address], with_body(mark, GTUBE + mark.encode()))
    assert refused.value.smtp_code == 554
    assert b"5.7.1" in refused.value.smtp_error
    assert mail.count(ADA, mark) == 0


def test_silent_name_servers_make_no_spam(mail: Mail) -> None:
    """Here none answers. A mark has its points already, as what spammers track recipients by."""
    mark = new_mark()
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = STRANGER, ADA.address, mark
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="example.org")
    message.set_content(f"{mark}\n")
    mail.receive([ADA.address], message.as_bytes(policy=email.policy.SMTP))
    assert "X-Spam" not in parsed(mail.fetch(ADA, mark))


def test_likely_spam_goes_to_junk(mail: Mail) -> None:
    mark = new_mark()
    mail.receive([ADA.address], likely_spam(mark), sender="win@example.org")
    assert parsed(mail.fetch(ADA, mark, folder="Junk"))["X-Spam"] == "Yes"
    assert mail.count(ADA, mark) == 0


def test_a_large_message_costs_little(mail: Mail, boxes: Boxes) -> None:
    """Ten megabytes of text, which would take a second and 200 MiB to take apart."""
    mark = new_mark()
    text = b"the quick brown fox asks www.example.net about mail.example.org end.Next\r\n"
    before = _cpu_seconds(boxes)
    mail.receive([ADA.address], with_body(mark, text * (10 * (1 << 20) // len(text))))
    assert _cpu_seconds(boxes) - before < 0.5
    (results,) = parsed(mail.fetch(ADA, mark)).get_all("Authentication-Results", [])
    assert results.startswith(f"{EXAMPLE.hostname};")


def _cpu_seconds(boxes: Boxes) -> float:
    stats = boxes.api.stats(boxes.ids["rspamd"], stream=False)
    nanoseconds: int = stats["cpu_stats"]["cpu_usage"]["total_usage"]
    return nanoseconds / 1e9


def test_it_starts_quietly(boxes: Boxes) -> None:
    """Each start is a line of a log that people read."""
    log = boxes.api.logs(boxes.ids["rspamd"]).decode()
    # Which are those of its first process; the others are about messages.
    lines = [line for line in log.splitlines() if "(main)" in line]
    assert [line for line in lines if "is loading configuration" not in line] == []
    assert lines


def test_while_rspamd_is_dead_mail_is_taken(stack: StackUp, mail: Mail, all_well: Boxes) -> None:
    """What comes in is delivered without a verdict, also one of its own; what people send waits."""
    sent, received = new_mark(), new_mark()
    forged = f"Authentication-Results: {EXAMPLE.hostname}; dmarc=pass\r\n".encode()
    all_well.kill("rspamd")
    mail.send(ADA, GRACE.address, ordinary(sent))
    mail.receive([GRACE.address], forged + ordinary(received, sender=STRANGER))
    assert "Authentication-Results" not in parsed(mail.fetch(GRACE, received))
    assert mail.count(GRACE, sent) == 0
    all_well.mend()
    # Postfix would try again by itself, within two minutes.
    assert all_well.run("mta", "postqueue", "-f")[0] == 0
    assert signatures(stack, mail.fetch(GRACE, sent)) == SIGNED
    assert mail.count(GRACE, sent) == 1


def _seconds_to_send(mail: Mail) -> float:
    started = time.monotonic()
    mail.send(ADA, GRACE.address, ordinary(new_mark()))
    return time.monotonic() - started


def test_while_rspamd_is_stuck_mail_is_taken(stack: StackUp, mail: Mail, all_well: Boxes) -> None:
    """As it looks from outside when it has started on a slow machine, but not yet answered."""
    sent, received = new_mark(), new_mark()
    all_well.api.pause(all_well.ids["rspamd"])
    try:
        mail.send(ADA, GRACE.address, ordinary(sent))
        # Submission does not wait for it at all: whoever does, waits for 20 seconds (main.cf). A
        # slow host may take so long for one message, but not for each.
        assert any(_seconds_to_send(mail) < 18 for _ in range(3))
        mail.receive([GRACE.address], ordinary(received, sender=STRANGER))
        assert mail.fetch(GRACE, received)
    finally:
        all_well.api.unpause(all_well.ids["rspamd"])
    # In case that took longer than a message waits to be signed.
    assert all_well.run("mta", "postqueue", "-f")[0] == 0
    assert signatures(stack, mail.fetch(GRACE, sent)) == SIGNED

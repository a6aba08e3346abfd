"""What must not be taken: mail without a login, from somebody else, to the canary, to nobody."""

from __future__ import annotations

import pytest

from tests.stack.mail import Mail, refusal
from tests.stack.people import CANARY, GRACE, STRANGER
from tools.stack.example import ADA


@pytest.mark.parametrize("service", ["submission", "submissions"])
def test_submission_needs_a_login(mail: Mail, service: str) -> None:
    with mail.smtp(service) as smtp:
        if service == "submission":
            assert refusal(smtp, ADA.address, GRACE.address)[0] == 530
            smtp.starttls(context=mail.context)
            smtp.ehlo()
        assert refusal(smtp, ADA.address, GRACE.address)[0] in {530, 554}
        assert refusal(smtp, ADA.address, STRANGER)[0] in {530, 554}


def test_login_is_offered_only_under_tls(mail: Mail) -> None:
    with mail.smtp("submission") as smtp:
        assert "auth" not in smtp.esmtp_features
        code, _ = smtp.docmd("AUTH", "PLAIN AGFkYQBzZWNyZXQ=")
        assert code == 530
        smtp.starttls(context=mail.context)
        smtp.ehlo()
        assert smtp.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
    with mail.smtp("submissions") as smtp:
        assert "auth" in smtp.esmtp_features


def test_no_login_where_foreign_servers_come_in(mail: Mail) -> None:
    with mail.smtp("smtp") as smtp:
        assert "auth" not in smtp.esmtp_features
        smtp.starttls(context=mail.context)
        smtp.ehlo()
        assert "auth" not in smtp.esmtp_features
        code, _ = smtp.docmd("AUTH", "PLAIN AGFkYQBzZWNyZXQ=")
        assert code >= 500


@pytest.mark.parametrize(
    "sender", [GRACE.address, STRANGER, CANARY, "nobody@example.com", "postmaster@example.org"]
)
def test_nobody_sends_as_somebody_else(mail: Mail, sender: str) -> None:
    with mail.submission(ADA) as smtp:
        code, text = refusal(smtp, sender, GRACE.address)
    assert (code, "not owned by user" in text) == (553, True)


@pytest.mark.parametrize("sender", ["ada@example.com", "countess@example.com", "ada+x@example.com"])
def test_people_send_as_all_that_is_theirs(mail: Mail, sender: str) -> None:
    with mail.submission(ADA) as smtp:
        assert refusal(smtp, sender, GRACE.address)[0] == 250


@pytest.mark.parametrize("recipient", [CANARY, CANARY.upper(), CANARY.replace("@", "+x@")])
def test_the_canary_is_out_of_reach(mail: Mail, recipient: str) -> None:
    with mail.smtp("smtp") as smtp:
        assert refusal(smtp, STRANGER, recipient)[0] in {550, 554}


@pytest.mark.parametrize("recipient", ["nobody@example.com", "nobody+ada@example.com"])
def test_unknown_recipients(mail: Mail, recipient: str) -> None:
    with mail.smtp("smtp") as smtp:
        assert refusal(smtp, STRANGER, recipient)[0] == 550
    with mail.submission(ADA) as smtp:
        assert refusal(smtp, ADA.address, recipient)[0] == 550


def test_addresses_cannot_be_asked_for(mail: Mail) -> None:
    with mail.smtp("smtp") as smtp:
        assert smtp.verify(ADA.address)[0] == 502
        assert smtp.expn(ADA.address)[0] in {500, 502}

"""Mail to the owner: kept until a server has accepted it."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator

import pytest

from firstboot.base.errors import RoundTripError, SettingsError
from firstboot.base.notices import (
    MOST_NOTICES,
    leave_notice,
    send_notices,
    send_notices_or_wait,
)
from firstboot.base.paths import Paths
from tests.unit.firstboot.mailserver import MailServer, mail_server
from tests.unit.firstboot.samples import SERVICES, SETTINGS, show_certificate

HOSTNAME, PASSWORD = "mail.example.com", "5" * 64


@pytest.fixture
def server(paths: Paths) -> Iterator[MailServer]:
    """The machine's own mail server, which takes mail from the canary."""
    show_certificate(paths)
    paths.settings.write_text(SETTINGS)
    (paths.state / "secrets").mkdir()
    (paths.state / "secrets/canary_password").write_text(PASSWORD)
    with mail_server(paths.state / "tls", f"canary@{HOSTNAME}", PASSWORD) as running:
        declared = SERVICES.replace("published: 587", f"published: {running.submission}")
        paths.services.write_text(declared)
        running.spoil = lambda sent: sent
        yield running


def test_a_notice_reaches_the_owner_once(paths: Paths, server: MailServer) -> None:
    leave_notice(paths, "upgrade-2.0.0", "The upgrade did not work", "Grüße\n.\nthe end\n")
    assert send_notices(paths) == 1
    (received,) = server.inbox.values()
    message = email.message_from_bytes(received, policy=email.policy.default)
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "[mail.example.com] The upgrade did not work"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().splitlines() == ["Grüße", ".", "the end"]
    assert send_notices(paths) == 0
    assert len(server.inbox) == 1


def test_what_is_not_accepted_stays(paths: Paths, server: MailServer) -> None:
    leave_notice(paths, "certificate", "x", "y")
    server.password = "another"
    with pytest.raises(RoundTripError, match="submission on port"):
        send_notices(paths)
    send_notices_or_wait(paths)
    server.password = PASSWORD
    assert send_notices(paths) == 1


@pytest.mark.usefixtures("server")
def test_one_name_is_one_notice(paths: Paths) -> None:
    leave_notice(paths, "backup", "old for 2 days", "")
    leave_notice(paths, "backup", "old for 3 days", "")
    (kept,) = paths.notices.iterdir()
    assert b"old for 3 days" in kept.read_bytes()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_not_more_than_anybody_would_read(paths: Paths, server: MailServer) -> None:
    for number in range(MOST_NOTICES + 5):
        leave_notice(paths, f"n{number}", str(number), "")
    assert send_notices(paths) == MOST_NOTICES
    assert len(server.inbox) == MOST_NOTICES


def test_without_an_owner_there_is_nobody_to_tell(paths: Paths) -> None:
    with pytest.raises(SettingsError):
        leave_notice(paths, "upgrade", "x", "y")
    assert send_notices(paths) == 0


def test_a_name_cannot_leave_the_folder(paths: Paths) -> None:
    with pytest.raises(ValueError, match="no name of a notice"):
        leave_notice(paths, "../settings", "x", "y")

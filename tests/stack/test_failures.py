"""Containers die, mail does not: what was answered with 250 arrives."""

from __future__ import annotations

import smtplib

import pytest

from firstboot.base.roundtrip import message_difference
from firstboot.base.waiting import wait_for
from tests.stack.boxes import Boxes
from tests.stack.mail import Mail
from tests.stack.messages import new_mark, ordinary
from tests.stack.people import EXAMPLE, GRACE, STRANGER
from tools.build.appliance import Parts
from tools.stack.example import ADA
from tools.stack.lifecycle import StackUp, stack_up


def test_a_crashed_container_comes_back(mail: Mail, all_well: Boxes) -> None:
    for service in all_well.ids:
        all_well.crash(service)
    all_well.mend()
    mark = new_mark()
    mail.send(ADA, GRACE.address, ordinary(mark))
    assert mail.fetch(GRACE, mark)


def test_mail_waits_for_the_mailstore(mail: Mail, all_well: Boxes) -> None:
    submitted, received = new_mark(), new_mark()
    all_well.kill("mailstore")
    mail.send(ADA, GRACE.address, ordinary(submitted))
    mail.receive([ADA.address], ordinary(received, sender=STRANGER))
    wait_for(lambda: all_well.queue() == 2, what="two messages in the queue", timeout=120)
    all_well.start("mailstore")
    all_well.mend()
    # Postfix would try again by itself, within the minute.
    assert all_well.run("mta", "postqueue", "-f")[0] == 0
    assert mail.fetch(GRACE, submitted)
    assert mail.fetch(ADA, received)
    assert (mail.count(GRACE, submitted), mail.count(ADA, received)) == (1, 1)


def test_mail_waits_through_a_crash_of_the_mta(mail: Mail, all_well: Boxes) -> None:
    mark = new_mark()
    all_well.kill("mailstore")
    mail.send(ADA, GRACE.address, ordinary(mark))
    all_well.kill("mta")
    all_well.mend()
    assert all_well.run("mta", "postqueue", "-f")[0] == 0
    assert mail.fetch(GRACE, mark)


def test_without_the_directory_mail_is_put_off_not_refused(mail: Mail, all_well: Boxes) -> None:
    all_well.kill("directory")
    with mail.smtp("smtp") as smtp:
        for address in (ADA.address, "nobody@example.com"):
            smtp.mail(STRANGER)
            assert 400 <= smtp.rcpt(address)[0] < 500
            smtp.rset()


def test_people_can_send_soon_after_the_directory_is_back(mail: Mail, all_well: Boxes) -> None:
    """By itself Postfix would take no submission for a minute after one that met no directory."""
    all_well.kill("directory")
    with pytest.raises((smtplib.SMTPException, OSError)), mail.submission(ADA):
        pass
    all_well.mend()
    mark = new_mark()

    def sent() -> bool:
        try:
            mail.send(ADA, GRACE.address, ordinary(mark))
        except (smtplib.SMTPException, OSError):
            return False
        return True

    # Less than that minute.
    wait_for(sent, what="a message taken", timeout=45)
    assert mail.fetch(GRACE, mark)


def test_what_lmtp_took_survives_a_kill(
    mail: Mail, all_well: Boxes, request: pytest.FixtureRequest
) -> None:
    """`--cuts N` widens it."""
    for _ in range(request.config.getoption("--cuts")):
        mark = new_mark()
        message = ordinary(mark)
        with smtplib.LMTP(all_well.address("mailstore", "mail"), 24) as lmtp:
            lmtp.sendmail(STRANGER, [GRACE.address], message)
            # It was answered with 250, and nothing has happened since.
            all_well.kill("mailstore")
        all_well.start("mailstore")
        all_well.mend()
        assert message_difference(message, mail.fetch(GRACE, mark)) is None


def test_mail_outlives_its_containers(base: str, parts: Parts, stack: StackUp, mail: Mail) -> None:
    """Containers and networks go and come; the mail, the ports and the certificate stay."""
    mark = new_mark()
    mail.send(ADA, GRACE.address, ordinary(mark))
    mail.fetch(GRACE, mark)
    certificate = stack.certificate.read_bytes()
    stack.engine.compose_down(stack.home.compose_file, stack.home.project)
    assert stack.engine.containers(stack.home.project) == ()
    again = stack_up(base, home=stack.home, example=EXAMPLE, parts=parts)
    assert (again.ports, again.certificate.read_bytes()) == (stack.ports, certificate)
    assert mail.count(GRACE, mark) == 1


def test_a_second_up_leaves_what_runs(
    base: str, parts: Parts, stack: StackUp, all_well: Boxes
) -> None:
    before = all_well.started
    stack_up(base, home=stack.home, example=EXAMPLE, parts=parts)
    assert all_well.started == before

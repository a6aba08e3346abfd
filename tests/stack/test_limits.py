"""A stolen password: it sends no more than the limit, others go on, the owner is told once."""

from __future__ import annotations

import json
import shutil
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from firstboot.alarms.tell import tell
from firstboot.base.alarms import current_alarms
from firstboot.base.paths import Paths
from firstboot.base.services import Stack
from firstboot.base.settings import dump_settings
from firstboot.base.waiting import wait_for
from firstboot.system.console import Console
from postmaster.directory.sending_limits import DAY
from tests.stack.boxes import Boxes
from tests.stack.changed import changed_settings, use_settings
from tests.stack.mail import Mail, find
from tests.stack.messages import new_mark, ordinary
from tests.stack.people import EXAMPLE, GRACE, HEDY
from tools.build.source import CHECKOUT
from tools.stack.example import ADA, example_settings
from tools.stack.lifecycle import StackUp

MOST = 5
LIMITS = {"person_hour": MOST, "person_day": MOST, "machine_hour": "none", "machine_day": "none"}
AHEAD = 300.0  # seconds that the tests here take, and more
SUBJECT = f"[{EXAMPLE.hostname}] Sending was stopped for {HEDY.address}"


@pytest.fixture(scope="module")
def limited(stack: StackUp, services: Stack, boxes: Boxes) -> Iterator[StackUp]:
    """With a limit for all, and nothing counted yet."""
    # At midnight counting begins anew.
    wait_for(lambda: time.time() % DAY < DAY - AHEAD, what="midnight", timeout=2 * AHEAD)
    use_settings(stack, services, changed_settings(stack, limits=LIMITS), ("directory",))
    assert boxes.run("redis", "redis-cli", "FLUSHALL")[0] == 0
    try:
        yield stack
    finally:
        use_settings(stack, services, example_settings(EXAMPLE, stack.home), ("directory",))
        assert boxes.run("redis", "redis-cli", "FLUSHALL")[0] == 0


def submit(mail: Mail, recipients: int, service: str, sender: str = HEDY.address) -> str:
    """Send as Hedy to Grace, by so many addresses of hers; the mark, or raises the refusal."""
    mark = new_mark()
    addresses = [GRACE.address.replace("@", f"+{number}@") for number in range(recipients)]
    with mail.submission(HEDY, service) as smtp:
        smtp.sendmail(sender, addresses, ordinary(mark, sender=sender))
    return mark


def in_chunks(mail: Mail) -> tuple[int, bytes]:
    """The answer to the first chunk of a message (BDAT, RFC 3030) of Hedy."""
    message = ordinary(new_mark(), sender=HEDY.address)
    with mail.submission(HEDY) as smtp:
        smtp.mail(HEDY.address)
        smtp.rcpt(GRACE.address)
        smtp.send(b"BDAT %d LAST\r\n" % len(message) + message)
        return smtp.getreply()


@pytest.fixture
def appliance(limited: StackUp, tmp_path: Path) -> Paths:
    """What `mailstead` sees on a machine with this stack."""
    paths = Paths(
        settings=tmp_path / "settings.yaml",
        state_partition=tmp_path,
        state=limited.home.state,
        runtime=tmp_path / "run",
        share=tmp_path / "share",
    )
    paths.settings.write_text(dump_settings(changed_settings(limited, limits=LIMITS)))
    paths.stack.mkdir(parents=True)
    shutil.copy(limited.certificate, paths.certificate)
    document = yaml.safe_load((CHECKOUT / "compose/services.yaml").read_text(encoding="utf-8"))
    for service in document["services"].values():
        for name, port in service.get("ports", {}).items():
            port["published"] = limited.ports[name]
    paths.templates.mkdir(parents=True)
    paths.services.write_text(yaml.safe_dump(document, sort_keys=False))
    return paths


def test_a_stolen_password_is_stopped_and_others_go_on(
    mail: Mail, boxes: Boxes, appliance: Paths
) -> None:
    sent = [
        submit(mail, 2, "submission"),
        submit(mail, 2, "submissions", sender=HEDY.aliases[0]),
    ]
    for service in ("submission", "submissions"):
        with pytest.raises(smtplib.SMTPDataError) as caught:
            submit(mail, 2, service)
        code, text = caught.value.smtp_code, caught.value.smtp_error
        assert code == 450
        assert f"{HEDY.address} has reached {MOST} recipients this ".encode() in text
        assert b"Try again at " in text
    # What was refused was not counted: there is room for one.
    sent.append(submit(mail, 1, "submission"))
    code, text = in_chunks(mail)
    assert (code, b"has reached" in text) == (450, True)
    with pytest.raises(smtplib.SMTPDataError) as caught:
        submit(mail, MOST + 1, "submission")
    assert caught.value.smtp_code == 554
    others = new_mark()
    mail.send(ADA, GRACE.address, ordinary(others))
    for mark in (*sent, others):
        assert mail.fetch(GRACE, mark)

    (alarm,) = current_alarms(appliance.alarms)
    assert (alarm.person, alarm.most) == (HEDY.address, MOST)
    assert [found.person for found in tell(appliance, Console(()))] == [HEDY.address]
    assert tell(appliance, Console(())) == ()
    assert mail.fetch(ADA, SUBJECT)
    with mail.imap(ADA) as imap:
        assert len(list(find(imap, SUBJECT))) == 1
    # Nothing of hers waits, and who was stopped is in the log.
    assert HEDY.address not in boxes.run("mta", "postqueue", "-j")[1]
    assert boxes.await_log("directory", f"sending-limited person={HEDY.address}")


def test_without_redis_nobody_is_limited(limited: StackUp, mail: Mail, all_well: Boxes) -> None:
    all_well.kill("redis")
    assert mail.fetch(GRACE, submit(mail, MOST + 1, "submission"))


def test_alarms_are_for_the_machine_alone(limited: StackUp, boxes: Boxes) -> None:
    folder = limited.home.state / "directory/alarms"
    uid = int(boxes.run("directory", "id", "-u")[1])
    assert (folder.stat().st_uid, folder.stat().st_mode & 0o077) == (uid, 0)
    for file in folder.iterdir():
        assert json.loads(file.read_text())["person"] == HEDY.address
        assert file.stat().st_mode & 0o777 == 0o600

"""Mail from the machine to its owner: written down first, sent when mail works, then forgotten.

A notice is a file below `/state/notices` until the machine's own server has accepted it, so that it
outlives a power cut and a day without mail. A cut between the answer and the deletion sends it
again, with the same Message-ID.
"""

from __future__ import annotations

import contextlib
import datetime
import email.policy
import email.utils
import re
from email.message import EmailMessage

from firstboot.base.canary import canary_account
from firstboot.base.errors import RoundTripError
from firstboot.base.files import make_directory, sync_directory, write_atomic
from firstboot.base.paths import Paths
from firstboot.base.roundtrip import submit
from firstboot.base.services import read_stack
from firstboot.base.settings import Settings, require_settings

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")
_SUFFIX = ".eml"
# A full disk of them would help nobody; the oldest tell least.
MOST_NOTICES = 50


def leave_notice(paths: Paths, name: str, subject: str, text: str) -> None:
    """Have the owner told by mail; on disk when this returns, and sent by `send_notices`.

    `name` (lower-case letters, digits, dots, hyphens) says what it is about: a second notice of the
    same name replaces the first as long as that is not sent. Raises SettingsError when there is no
    owner yet.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a notice")
    message = _message(require_settings(paths.settings), name, subject, text)
    make_directory(paths.notices, mode=0o700)
    content = message.as_bytes(policy=email.policy.SMTP)
    write_atomic(paths.notices / f"{name}{_SUFFIX}", content, mode=0o600)


def send_notices(paths: Paths) -> int:
    """Send what is waiting; return how many were.

    Raises RoundTripError when the machine's mail server does not take one; that one and those after
    it stay.
    """
    if not paths.notices.is_dir():
        return 0
    waiting = sorted(paths.notices.glob(f"[!.]*{_SUFFIX}"), key=lambda path: path.stat().st_mtime)
    if not waiting:
        return 0
    for old in waiting[:-MOST_NOTICES]:
        old.unlink()
    settings = require_settings(paths.settings)
    account = canary_account(paths, settings, read_stack(paths.services))
    for path in waiting[-MOST_NOTICES:]:
        submit(account, settings.owner, path.read_bytes())
        path.unlink()
        sync_directory(paths.notices)
    return len(waiting[-MOST_NOTICES:])


def send_notices_or_wait(paths: Paths) -> None:
    """`send_notices` where mail that does not work is no reason to fail: a later call goes on."""
    with contextlib.suppress(RoundTripError):
        send_notices(paths)


def _message(settings: Settings, name: str, subject: str, text: str) -> EmailMessage:
    now = datetime.datetime.now(datetime.UTC)
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = f"Mailstead <{settings.canary}>"
    message["To"] = settings.owner
    message["Subject"] = f"[{settings.hostname}] {subject}"
    message["Date"] = email.utils.format_datetime(now)
    message["Message-ID"] = f"<{name}.{now:%Y%m%d%H%M%S}@{settings.hostname}>"
    # RFC 3834, 5: nobody's absence is to be answered to a machine.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message

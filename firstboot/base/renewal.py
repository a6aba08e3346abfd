"""When a certificate is due, and what became of the attempts to renew it (renewal.json).

An attempt counts as failed before it begins, and the next one has its time by then. So neither a
power cut nor a restart makes a machine ask an authority more often than it should.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from firstboot.base.errors import MailsteadError
from firstboot.base.files import make_directory, write_atomic
from firstboot.base.tls import Facts

FORMAT = 1

# How long after the first failure in a row the next attempt is; it doubles with each one.
FIRST_PAUSE = datetime.timedelta(minutes=15)
LONGEST_PAUSE = datetime.timedelta(days=1)
# A time further ahead than any pause comes from a clock that was wrong.
FARTHEST = datetime.timedelta(days=8)


class CertificateError(MailsteadError):
    """A certificate cannot be used, or was not to be had; the one that is shown stays."""

    exit_code = 14


@dataclass(frozen=True)
class Renewal:
    """The attempts since the last success; times are RFC 3339 in UTC, "" where there is none.

    `failing` is since when none succeeded, `next` before when there is none by itself, `limited`
    whether the authority has set that time, `warned` when the owner was last told. `advised` is
    when the authority wants the certificate with the fingerprint `advised_for` to be renewed, `ask`
    when to ask it for that again.
    """

    failures: int = 0
    failing: str = ""
    next: str = ""
    reason: str = ""
    limited: bool = False
    warned: str = ""
    advised: str = ""
    advised_for: str = ""
    ask: str = ""


def read_renewal(path: Path) -> Renewal:
    """What was noted; nothing when that cannot be read, which costs one attempt at the most."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            return Renewal()
        return Renewal(
            int(data["failures"]),
            _time(data["failing"]),
            _time(data["next"]),
            str(data["reason"]),
            bool(data["limited"]),
            _time(data["warned"]),
            # Younger than the format: files of releases before have not got them.
            _time(data.get("advised", "")),
            str(data.get("advised_for", "")),
            _time(data.get("ask", "")),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Renewal()


def write_renewal(path: Path, renewal: Renewal) -> None:
    """Keep it, on disk when this returns."""
    make_directory(path.parent)
    text = json.dumps({"format": FORMAT, **asdict(renewal)}, indent=2)
    write_atomic(path, text + "\n", mode=0o600)


def due(facts: Facts, record: Renewal) -> datetime.datetime:
    """When to renew: as the authority advises, else at two thirds of its life, and somewhat later.

    Advice counts up to three quarters of the life, so that there is time for failures. Otherwise it
    is up to a thirtieth later. How much depends on the certificate, so that not all machines come
    at once, and one keeps to its time over restarts.
    """
    if record.advised and record.advised_for == facts.fingerprint:
        advised = datetime.datetime.fromisoformat(record.advised)
        return min(advised, facts.begins + facts.life * 3 / 4)
    return facts.begins + facts.life * 2 / 3 + facts.life / 30 * share_of(facts)


def share_of(facts: Facts) -> float:
    """A number from 0 to 1 that a certificate keeps."""
    return int(facts.fingerprint[:8], 16) / 0xFFFFFFFF


def asks(record: Renewal, facts: Facts, now: datetime.datetime) -> bool:
    """Whether to ask the authority when it wants this certificate to be renewed."""
    if not record.ask or record.advised_for != facts.fingerprint:
        return True
    then = datetime.datetime.fromisoformat(record.ask)
    return not now < then < now + FARTHEST


def pause(failures: int, facts: Facts | None, dice: float) -> datetime.timedelta:
    """How long to wait after so many failures in a row (at least one).

    A certificate that does not live long leaves less time. `dice` is random, from 0 to 1: it makes
    the pause up to a tenth longer.
    """
    longest = min(LONGEST_PAUSE, facts.life / 12) if facts else LONGEST_PAUSE
    doubled = FIRST_PAUSE * int(2 ** min(failures - 1, 12))
    return min(doubled, longest) * (1 + dice / 10)


def waits_until(renewal: Renewal, now: datetime.datetime) -> datetime.datetime | None:
    """Before when no attempt is made by itself; None when there is nothing to wait for."""
    if not renewal.next:
        return None
    then = datetime.datetime.fromisoformat(renewal.next)
    return then if now < then < now + FARTHEST else None


def timestamp(moment: datetime.datetime) -> str:
    """As it stands in the file."""
    return moment.astimezone(datetime.UTC).replace(microsecond=0).isoformat()


def _time(value: object) -> str:
    text = str(value)
    if text and datetime.datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return text

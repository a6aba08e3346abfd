"""What the verbs answer, as types: the document of the API is made from them.

Those that a feature's command prints with `--json` are the feature's own. All features are imported
here, which nothing but the document needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import TypedDict

from firstboot.base.alarms import AlarmJson
from firstboot.base.audit import Entry
from firstboot.base.backups import StandingJson
from firstboot.certificates.status import CertificateJson
from firstboot.checks.result import Result
from firstboot.checks.status import Status
from firstboot.disk.status import DiskProtection
from firstboot.dns.check import CheckJson
from firstboot.dns.plan import PlanJson
from firstboot.queue.rates import RatesJson
from firstboot.queue.showing import MessageJson
from firstboot.queue.telling import StoryJson
from firstboot.update.status import UpdateJson


@dataclass(frozen=True)
class Everything(Status):
    """How the machine is. What could not be read is left out, and named in `problems`."""

    upgrade: UpdateJson | None = None
    certificate: CertificateJson | None = None
    protection: DiskProtection | None = None
    backups: list[StandingJson] | None = None
    alarms: list[AlarmJson] | None = None


class WhenJson(TypedDict):
    """A change was made; `when` says when it counts."""

    when: str


class CountJson(TypedDict):
    """How many messages it was done to, or which are so already."""

    count: int


class KeysJson(TypedDict):
    """How somebody's mail is locked; `sealed`: vaults that a reset has left closed."""

    address: str
    aliases: list[str]
    state: Literal["never logged in", "locked by password"]
    recovery_code: bool
    app_passwords: int
    sealed: int


class PersonJson(TypedDict):
    """Somebody in the settings; `keys` is null where the directory does not know any yet."""

    address: str
    name: str
    aliases: list[str]
    forward_to: list[str]
    quota: str | None
    keys: KeysJson | None


class PeopleJson(TypedDict):
    """Everybody; `left`: who is not there any more, but whose mail is.

    `problem` says why the directory did not answer, if it did not.
    """

    people: list[PersonJson]
    left: list[str]
    problem: str


class AliasJson(TypedDict):
    """A further address of somebody."""

    alias: str
    person: str


class AliasesJson(TypedDict):
    """All of them."""

    aliases: list[AliasJson]


class DomainJson(TypedDict):
    """A domain and the addresses in it."""

    name: str
    addresses: list[str]


class DomainsJson(TypedDict):
    """All of them."""

    domains: list[DomainJson]


class BackupJson(StandingJson):
    """The same with one sentence for people."""

    sentence: str


class BackupsJson(TypedDict):
    """How things are at each place for backups; `next` is RFC 3339."""

    targets: list[BackupJson]
    next: str | None


class ChecksJson(TypedDict):
    """What was checked; `ok` when nothing failed."""

    ok: bool
    checks: list[Result]


class QueueJson(TypedDict):
    """Mail that waits, the oldest first."""

    messages: list[MessageJson]


class FoundJson(TypedDict):
    """What became of messages, the newest last; `earlier`: how many more were found before these.

    `begins` is when the part of the log begins that was looked through (RFC 3339, null for an empty
    one): what came before that is not known.
    """

    messages: list[StoryJson]
    earlier: int
    begins: str | None


class AuditJson(TypedDict):
    """Who changed what, the newest last."""

    entries: list[Entry]


def result_types() -> Mapping[str, Any]:
    """By the names of the verbs that programs may ask."""
    changes = ("people.add", "people.change", "people.leave", "aliases.add", "aliases.remove")
    deeds = ("queue.retry", "queue.hold", "queue.release", "queue.delete")
    return {
        "status": Everything,
        "check": ChecksJson,
        "people.list": PeopleJson,
        "aliases.list": AliasesJson,
        "domains.list": DomainsJson,
        "dns.records": PlanJson,
        "dns.check": CheckJson,
        "queue.list": QueueJson,
        "log.search": FoundJson,
        "mail.rates": RatesJson,
        "backup.status": BackupsJson,
        "update.status": UpdateJson,
        "certificate.status": CertificateJson,
        "audit.list": AuditJson,
        **dict.fromkeys((*changes, "domains.add", "domains.remove"), WhenJson),
        **dict.fromkeys(deeds, CountJson),
    }

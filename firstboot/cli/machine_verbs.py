"""What the web pages may ask about the machine, its DNS records, mail and queue, and do to that."""

# ruff: noqa: PLC0415 - verbs import what they need when they run, as commands do

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from firstboot.administration.protocol import Arguments, Call, Http, Result, Verb
from firstboot.base.engine import Engine
from firstboot.base.paths import Paths

if TYPE_CHECKING:
    from firstboot.cli.results import FoundJson
    from firstboot.dns.plan import Plan
    from firstboot.queue.maillog import MailLog
    from firstboot.queue.rates import RatesJson
    from firstboot.queue.spool import Spool
    from firstboot.queue.spool import Verb as Deed


# An answer has to fit into a line that `admin` reads (machine_link.py: 4 MiB), and nothing that
# Postfix logs about one recipient is longer than 2 KiB.
_MOST_RECIPIENTS = 1000
_MOST_OF_A_MESSAGE = 50
_DAY = 86_400


class Groups(Arguments):
    """As of `mailstead check`."""

    groups: list[Literal["machine", "network", "mail"]] = Field(default_factory=list)
    outside: bool = True


class Zone(Arguments):
    """Only what belongs into the zone of one domain; null: all."""

    domain: str | None = Field(None, max_length=253)


class Messages(Arguments):
    """Messages of the queue by their IDs."""

    # All of them fit into a body of the API.
    ids: list[Annotated[str, Field(max_length=32)]] = Field(min_length=1, max_length=400)


class Search(Arguments):
    """As of `mailstead log search`; at most so many messages, the newest."""

    sender: str = Field("", alias="from", max_length=254)
    recipient: str = Field("", alias="to", max_length=254)
    days: int = Field(7, ge=1, le=31)
    most: int = Field(100, ge=1, le=500)


class Steps(Arguments):
    """The last 24 hours, or the last 28 days."""

    per: Literal["hour", "day"] = "hour"


@dataclass(frozen=True)
class Machine:
    """The verbs that look at the machine."""

    paths: Paths
    engine: Engine

    def status(self, _call: Call, _arguments: Arguments) -> Result:
        """As `mailstead status --json`."""
        from firstboot.cli.showing import read_everything

        return read_everything(self.paths, self.engine)[0]

    def check(self, call: Call, wanted: Groups) -> Result:
        """As `mailstead check --json`; each result is told as it comes."""
        from firstboot.checks.check import run_checks, select_checks
        from firstboot.checks.machine import read_machine

        machine = read_machine(self.paths, self.engine)
        outside = wanted.outside and machine.settings.checks.outside
        results = []
        for result in run_checks(machine, select_checks(machine, wanted.groups, outside=outside)):
            call.progress(f"{result.name}: {result.state}")
            results.append(vars(result))
        return {"ok": all(each["state"] != "fail" for each in results), "checks": results}

    def records(self, _call: Call, zone: Zone) -> Result:
        """As `mailstead dns show --json`."""
        return self._plan(zone).as_json()

    def check_records(self, call: Call, zone: Zone) -> Result:
        """As `mailstead dns check --json`; each record is told as it comes."""
        from firstboot.dns.check import check_records
        from firstboot.dns.commands import verdict_json
        from firstboot.system.authority import Authorities

        plan, found, fine = self._plan(zone), [], True
        for verdict in check_records(plan.records, Authorities(), plan.resolvers):
            call.progress(f"{verdict.record.type} {verdict.record.name}: {verdict.state}")
            found.append(verdict_json(verdict))
            fine = fine and verdict.fine
        return {"ok": fine, "addresses": plan.as_json()["addresses"], "records": found}

    def backups(self, _call: Call, _arguments: Arguments) -> Result:
        """How things are at each place for backups."""
        from firstboot.backup.automatic import next_backup, standings
        from firstboot.backup.engine import read_machine

        machine = read_machine(self.paths)
        due = next_backup(machine)
        return {
            "targets": [
                {**standing.as_json(), "sentence": standing.sentence()}
                for standing in standings(machine)
            ],
            "next": due.isoformat() if due else None,
        }

    def upgrades(self, _call: Call, _arguments: Arguments) -> Result:
        """As `mailstead update status --json`."""
        from firstboot.update.machine import read_machine
        from firstboot.update.status import read_status

        return read_status(read_machine(self.paths)).as_json()

    def certificate(self, _call: Call, _arguments: Arguments) -> Result:
        """As `mailstead cert status --json`."""
        from firstboot.certificates.machine import read_machine
        from firstboot.certificates.status import read_certificate_status

        return read_certificate_status(read_machine(self.paths, self.engine)).as_json()

    def verbs(self) -> dict[str, Verb]:
        """By their names."""
        return {
            "status": Verb(Arguments, self.status, _look("/status")),
            "check": Verb(Groups, self.check, _look("/check"), single=True),
            "backup.status": Verb(Arguments, self.backups, _look("/backups")),
            "update.status": Verb(Arguments, self.upgrades, _look("/updates")),
            "certificate.status": Verb(Arguments, self.certificate, _look("/certificate")),
            "dns.records": Verb(Zone, self.records, _look("/dns")),
            "dns.check": Verb(Zone, self.check_records, _look("/dns/check"), single=True),
        }

    def _plan(self, zone: Zone) -> Plan:
        from firstboot.dns.plan import read_plan
        from firstboot.system.authority import Authorities

        return read_plan(self.paths, Authorities()).only(zone.domain)


@dataclass(frozen=True)
class Queue:
    """The verbs about mail that waits."""

    paths: Paths
    engine: Engine

    def list_messages(self, _call: Call, _arguments: Arguments) -> Result:
        """As `mailstead queue list --json`."""
        from firstboot.queue.showing import as_plain

        return {"messages": [as_plain(message) for message in self._spool().messages()]}

    def retry(self, call: Call, wanted: Messages) -> Result:
        """Try to deliver now."""
        from firstboot.base.audit import noted
        from firstboot.queue.spool import pick

        spool = self._spool()
        with noted(self.paths, "queue.retry", ", ".join(wanted.ids), call.who):
            chosen = pick(spool.messages(), wanted.ids)
            spool.retry([message for message in chosen if not message.is_held])
        return {"count": len(chosen)}

    def hold(self, call: Call, wanted: Messages) -> Result:
        """Keep from being delivered."""
        return self._change("hold", call, wanted)

    def release(self, call: Call, wanted: Messages) -> Result:
        """Let be delivered again."""
        return self._change("release", call, wanted)

    def delete(self, call: Call, wanted: Messages) -> Result:
        """Delete; nobody is told."""
        return self._change("delete", call, wanted)

    def verbs(self) -> dict[str, Verb]:
        """By their names."""
        return {
            "queue.list": Verb(Arguments, self.list_messages, Http("GET", "/queue", "read")),
            "queue.retry": Verb(Messages, self.retry, _deed("retry")),
            "queue.hold": Verb(Messages, self.hold, _deed("hold")),
            "queue.release": Verb(Messages, self.release, _deed("release")),
            "queue.delete": Verb(Messages, self.delete, _deed("delete")),
        }

    def _change(self, deed: Deed, call: Call, wanted: Messages) -> dict[str, Any]:
        from firstboot.base.audit import noted
        from firstboot.queue.spool import pick

        spool = self._spool()
        with noted(self.paths, f"queue.{deed}", ", ".join(wanted.ids), call.who):
            chosen = pick(spool.messages(), wanted.ids)
            if deed != "delete":
                chosen = tuple(one for one in chosen if one.is_held == (deed == "release"))
            return {"count": spool.change(deed, chosen)}

    def _spool(self) -> Spool:
        from firstboot.base.compose import PROJECT
        from firstboot.queue.spool import Spool

        return Spool(self.engine, PROJECT)


@dataclass(frozen=True)
class Mail:
    """The verbs about mail that came and went; `log` is where to read of it."""

    paths: Paths
    log: MailLog

    def search(self, _call: Call, wanted: Search) -> FoundJson:
        """What became of mail, as `mailstead log search --json`, with bounds."""
        from firstboot.queue.maillog import find_stories
        from firstboot.queue.telling import is_for, story_json

        since = int(time.time()) - wanted.days * _DAY
        found = find_stories(self.log, since, wanted.sender, wanted.recipient)
        told, recipients = [], 0
        for story in reversed(found.stories[-wanted.most :]):
            fates = [fate for fate in story.fates if is_for(fate, wanted.recipient)]
            fates = fates[:_MOST_OF_A_MESSAGE]
            recipients += len(fates)
            if recipients > _MOST_RECIPIENTS:
                break
            told.append(story_json(story, fates))
        told.reverse()
        return {
            "messages": told,
            "earlier": len(found.stories) - len(told),
            "begins": found.begins or None,
        }

    def rates(self, _call: Call, steps: Steps) -> RatesJson:
        """How much mail came and went, by hours or days."""
        from datetime import UTC, datetime

        from firstboot.base.settings import require_settings
        from firstboot.queue.rates import count_mail

        canary = require_settings(self.paths.settings).canary
        return count_mail(self.log, steps.per, datetime.now(UTC), canary)

    def verbs(self) -> dict[str, Verb]:
        """By their names."""
        return {
            # One at a time: it takes memory and time.
            "log.search": Verb(Search, self.search, Http("GET", "/log", "read"), single=True),
            "mail.rates": Verb(Steps, self.rates, _look("/rates")),
        }


def _look(path: str) -> Http:
    return Http("GET", path, "status")


def _deed(name: str) -> Http:
    return Http("POST", f"/queue/{name}", "queue")


def machine_verbs(paths: Paths, engine: Engine, log: MailLog) -> dict[str, Verb]:
    """All of them."""
    return Machine(paths, engine).verbs() | Queue(paths, engine).verbs() | Mail(paths, log).verbs()

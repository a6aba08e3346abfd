"""The one table of what the web pages may ask the machine, and the verbs about who there is.

Each verb calls what the command of the same name calls.
"""

# ruff: noqa: PLC0415 - verbs import what they need when they run, as commands do

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from firstboot.administration.protocol import SCOPES, Arguments, Call, Http, Result, Verb
from firstboot.administration.sessions import IDLE_SECONDS, LONGEST_SECONDS, Sessions
from firstboot.administration.tokens import Tokens
from firstboot.base.engine import Engine
from firstboot.base.errors import MailsteadError
from firstboot.base.paths import Paths
from firstboot.cli.machine_verbs import machine_verbs
from firstboot.cli.own_verbs import Own

if TYPE_CHECKING:
    from firstboot.cli.results import AliasesJson, DomainsJson, PeopleJson, PersonJson, WhenJson
    from firstboot.people.office import Office
    from firstboot.queue.maillog import MailLog

_MOST_ENTRIES = 1000


class Login(Arguments):
    """`from` is the browser's address, as the proxy sees it."""

    password: str = Field(max_length=1000, repr=False)
    address: str = Field(alias="from", max_length=64)


class Address(Arguments):
    """Somebody's main address."""

    address: str = Field(max_length=254)


class NewPerson(Address):
    """As of `mailstead user add`."""

    password: str = Field(max_length=1000, repr=False)
    name: str = Field("", max_length=200)
    aliases: list[str] = Field([], max_length=100)
    quota: str | None = Field(None, max_length=16)


class ChangedPerson(Address):
    """As of `mailstead user change`; what is null stays."""

    name: str | None = Field(None, max_length=200)
    quota: str | None = Field(None, max_length=16)


class Forwards(Address):
    """As of `mailstead user forward`."""

    forward_to: list[str] = Field(max_length=100)


class NewAlias(Arguments):
    """As of `mailstead alias add`."""

    alias: str = Field(max_length=254)
    address: str = Field(max_length=254)


class Alias(Arguments):
    """An alias, whosever it is."""

    alias: str = Field(max_length=254)


class DomainName(Arguments):
    """A domain of this machine, or one that is to be."""

    name: str = Field(max_length=253)


class NewToken(Arguments):
    """As of `mailstead token add`."""

    label: str = Field(max_length=200)
    scopes: list[str] = Field(max_length=len(SCOPES))


class TokenId(Arguments):
    """A token of the API."""

    id: str = Field(max_length=64)


class Last(Arguments):
    """How many of the newest entries."""

    last: int = Field(100, ge=1, le=_MOST_ENTRIES)


@dataclass(frozen=True)
class People:
    """The verbs about people, aliases and domains."""

    paths: Paths
    engine: Engine

    def list_people(self, _call: Call, _arguments: Arguments) -> PeopleJson:
        """Everybody in the settings, and how their mail is locked as far as the directory tells."""
        from firstboot.people.desk import ContainerDesk

        office = self._office("")
        states: Mapping[str, Any] = {}
        left: list[str] = []
        problem = ""
        try:
            found = ContainerDesk(self.engine, office.project).ask(("list",))
            states = {person["address"]: person for person in found["people"]}
            left = list(found["left"])
        except MailsteadError as error:
            problem = error.message
        people: list[PersonJson] = [
            {
                "address": entry.address,
                "name": entry.name,
                "aliases": list(entry.aliases),
                "forward_to": list(entry.forward_to),
                "quota": entry.quota,
                "keys": states.get(entry.address),
            }
            for entry in office.people()
        ]
        return {"people": people, "left": left, "problem": problem}

    def add(self, call: Call, new: NewPerson) -> WhenJson:
        """Add somebody."""
        office = self._office(call.who)
        when = office.add(new.address, new.password, new.name, new.aliases, new.quota)
        return {"when": when}

    def change(self, call: Call, new: ChangedPerson) -> WhenJson:
        """Change name or quota."""
        return {"when": self._office(call.who).change(new.address, new.name, new.quota)}

    def forward(self, call: Call, wanted: Forwards) -> WhenJson:
        """Send copies elsewhere, or no more."""
        return {"when": self._office(call.who).forward(wanted.address, wanted.forward_to)}

    def leave(self, call: Call, who: Address) -> WhenJson:
        """Take somebody out."""
        return {"when": self._office(call.who).leave(who.address)}

    def list_aliases(self, _call: Call, _arguments: Arguments) -> AliasesJson:
        """Every alias with its person."""
        people = self._office("").people()
        return {
            "aliases": [
                {"alias": alias, "person": person.address}
                for person in people
                for alias in person.aliases
            ]
        }

    def add_alias(self, call: Call, new: NewAlias) -> WhenJson:
        """Add one."""
        return {"when": self._office(call.who).add_alias(new.alias, new.address)}

    def remove_alias(self, call: Call, old: Alias) -> WhenJson:
        """Remove one."""
        return {"when": self._office(call.who).remove_alias(old.alias)}

    def list_domains(self, _call: Call, _arguments: Arguments) -> DomainsJson:
        """Every domain with the addresses in it."""
        found = self._office("").domains()
        return {
            "domains": [{"name": name, "addresses": list(addresses)} for name, addresses in found]
        }

    def add_domain(self, call: Call, new: DomainName) -> WhenJson:
        """Add one."""
        return {"when": self._office(call.who).add_domain(new.name)}

    def remove_domain(self, call: Call, old: DomainName) -> WhenJson:
        """Remove one that is not in use."""
        return {"when": self._office(call.who).remove_domain(old.name)}

    def verbs(self) -> dict[str, Verb]:
        """By their names."""
        people, one = "/people", "/people/{address}"
        aliases, domains = "/aliases", "/domains"
        return {
            "people.list": Verb(Arguments, self.list_people, Http("GET", people, "read")),
            "people.add": Verb(NewPerson, self.add, Http("POST", people, "people")),
            "people.change": Verb(ChangedPerson, self.change, Http("PATCH", one, "people")),
            # Not by a token: none reads mail, and copies of it would go anywhere.
            "people.forward": Verb(Forwards, self.forward),
            "people.leave": Verb(Address, self.leave, Http("DELETE", one, "people")),
            "aliases.list": Verb(Arguments, self.list_aliases, Http("GET", aliases, "read")),
            "aliases.add": Verb(NewAlias, self.add_alias, Http("POST", aliases, "people")),
            "aliases.remove": Verb(
                Alias, self.remove_alias, Http("DELETE", aliases + "/{alias}", "people")
            ),
            "domains.list": Verb(Arguments, self.list_domains, Http("GET", domains, "read")),
            "domains.add": Verb(DomainName, self.add_domain, Http("POST", domains, "domains")),
            "domains.remove": Verb(
                DomainName, self.remove_domain, Http("DELETE", domains + "/{name}", "domains")
            ),
        }

    def _office(self, who: str) -> Office:
        from firstboot.people.office import Office

        return Office(self.paths, self.engine, who=who)


@dataclass(frozen=True)
class Administrator:
    """The verbs about who is signed in, and the audit log."""

    paths: Paths
    sessions: Sessions

    def log_in(self, _call: Call, login: Login) -> Result:
        """Check the password; the token is for all other verbs."""
        from firstboot.base.audit import note

        token = self.sessions.log_in(login.password, login.address)
        # Wrong ones are not noted: whoever guesses would push out what counts.
        note(self.paths, f"web {login.address}", "administrator.login", "signed in")
        return {"token": token, "idle": IDLE_SECONDS, "longest": LONGEST_SECONDS}

    def log_out(self, call: Call, _arguments: Arguments) -> Result:
        """End this session."""
        self.sessions.log_out(call.token)
        return {}

    def audit(self, _call: Call, wanted: Last) -> Result:
        """Who changed what, the newest last."""
        from dataclasses import asdict

        from firstboot.base.audit import read_audit

        return {"entries": [asdict(entry) for entry in read_audit(self.paths.audit, wanted.last)]}

    def verbs(self) -> dict[str, Verb]:
        """By their names."""
        return {
            "administrator.login": Verb(Login, self.log_in, open=True),
            "administrator.logout": Verb(Arguments, self.log_out),
            "audit.list": Verb(Last, self.audit, Http("GET", "/audit", "read")),
        }


@dataclass(frozen=True)
class Programs:
    """The verbs about the API: its tokens, and the document that tells what it is."""

    paths: Paths
    tokens: Tokens
    table: Mapping[str, Verb]

    def list_tokens(self, _call: Call, _arguments: Arguments) -> Result:
        """All tokens, without what they are or their hashes."""
        from firstboot.administration.commands import token_json

        return {"tokens": [token_json(token) for token in self.tokens.all()]}

    def add_token(self, call: Call, new: NewToken) -> Result:
        """Make one; it is told this once."""
        return vars(self.tokens.add(new.label, new.scopes, call.who))

    def revoke_token(self, call: Call, old: TokenId) -> Result:
        """End one."""
        return {"label": self.tokens.revoke(old.id, call.who).label}

    def describe(self, _call: Call, _arguments: Arguments) -> Result:
        """The document of the API."""
        from firstboot.administration.openapi import make_document
        from firstboot.base.release import read_release
        from firstboot.cli.results import result_types

        version = read_release(self.paths.release).version
        return make_document(self.table, result_types(), version)

    def verbs(self) -> dict[str, Verb]:
        """By their names."""
        return {
            "tokens.list": Verb(Arguments, self.list_tokens),
            "tokens.add": Verb(NewToken, self.add_token),
            "tokens.revoke": Verb(TokenId, self.revoke_token),
            "api.describe": Verb(Arguments, self.describe, open=True),
        }


def all_verbs(
    paths: Paths, engine: Engine, sessions: Sessions, tokens: Tokens, log: MailLog
) -> dict[str, Verb]:
    """The table; `log` is where the services' lines about mail are."""
    table = (
        Administrator(paths, sessions).verbs()
        | machine_verbs(paths, engine, log)
        | People(paths, engine).verbs()
        | Own(paths, engine).verbs()
    )
    return table | Programs(paths, tokens, table).verbs()

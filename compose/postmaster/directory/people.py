"""Who is who: the part of `settings.yaml` that mail needs, as a table of frozen lookups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from yaml import YAMLError

from postmaster.addresses import base, normalise, split
from postmaster.crypto import is_password_hash
from postmaster.directory.groups import Group, read_catch_alls, read_groups
from postmaster.directory.sending_limits import Limit, read_limits
from postmaster.directory.srs import Rewriter
from postmaster.errors import StartError
from postmaster.yamlfiles import read_yaml

SETTINGS_VERSION = 1
CANARY_NAME = "canary"
_UNITS = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
ROLE_NAMES = ("postmaster", "abuse")  # RFC 5321 4.5.1, RFC 2142


@dataclass(frozen=True)
class Person:
    """Somebody with a mailbox; addresses are normalised."""

    address: str
    password_hash: str = field(repr=False)  # Argon2id, PHC string
    aliases: tuple[str, ...] = ()
    quota: int | None = None  # bytes; None: as the disk allows
    forward_to: tuple[str, ...] = ()  # addresses elsewhere that get a copy


@dataclass(frozen=True)
class Directory:
    """Everything the services ask about; immutable, so it can be shared and replaced whole."""

    hostname: str
    domains: frozenset[str]
    people: Mapping[str, Person]
    aliases: Mapping[str, str]  # other address → person's address
    canary: str  # address of the internal person that the machine's own round trip uses
    limits: tuple[Limit, ...] = ()  # on what people send
    groups: Mapping[str, Group] = field(default_factory=dict)
    catch_alls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by domain
    rewriter: Rewriter | None = None  # of senders of what is forwarded

    def has_domain(self, domain: str) -> bool:
        """Say whether mail for `domain` is delivered here; the host's own name is one."""
        return normalise(domain) in self.domains

    def has_mailbox(self, address: str) -> bool:
        """Say whether `address`, exactly, is the main address of a person or the canary."""
        key = normalise(address)
        return key in self.people or key == self.canary

    def alias(self, address: str) -> str | None:
        """Return the main address behind an alias or a role address, exactly as written."""
        return self.aliases.get(normalise(address))

    def recipients(self, address: str) -> tuple[str, ...]:
        """Return the addresses that mail for `address` goes to, none when nobody has it.

        That of a person, those of a group's members, or those of the domain's catch-all; some may
        be elsewhere.
        """
        person = self.resolve(address)
        if person is not None:
            return (person,)
        group = self._group(address)
        return group.members if group else self._caught(address)

    def senders(self, address: str) -> tuple[str, ...]:
        """Return the main addresses of those who may send from `address`."""
        person, group = self.resolve(address), self._group(address)
        if person is not None:
            return (person,)
        if group is not None:
            return self._people(group.members) if group.send_as else ()
        return self._people(self._caught(address))

    def _people(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(address for address in addresses if address in self.people)

    def _group(self, address: str) -> Group | None:
        key = normalise(address)
        return self.groups.get(key) or self.groups.get(base(key) or "")

    def _caught(self, address: str) -> tuple[str, ...]:
        parts = split(normalise(address))
        return self.catch_alls.get(parts[1], ()) if parts else ()

    def quota(self, address: str) -> int | None:
        """Return how many bytes a person may keep, None for as many as the disk has."""
        person = self.people.get(normalise(address))
        return person.quota if person else None

    def resolve(self, address: str) -> str | None:
        """Return the main address that mail for `address` belongs to, plus-addresses included."""
        key = normalise(address)
        for candidate in (key, base(key)):
            if candidate is None:
                continue
            if self.has_mailbox(candidate):
                return candidate
            if (target := self.aliases.get(candidate)) is not None:
                return target
        return None


def read_directory(path: Path) -> Directory:
    """Read the settings file; StartError says which file and key is wrong.

    The whole file has been validated by the appliance before; this refuses what would make the
    service answer wrongly, and reads no key that it does not need.
    """
    try:
        document = read_yaml(path)
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        detail = " ".join(str(error).split())
        raise StartError(f"cannot read the settings {path}: {detail}") from error
    try:
        return build_directory(document)
    except (KeyError, TypeError, ValueError) as error:
        detail = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise StartError(
            f"the settings {path} are not usable: {detail}", "run `mailstead check`"
        ) from error


def build_directory(document: Any) -> Directory:
    """Make the table from the parsed settings; KeyError, TypeError or ValueError when wrong."""
    if not isinstance(document, dict):
        raise TypeError("the file holds no settings")
    if document["version"] != SETTINGS_VERSION:
        raise ValueError(f"version is {document['version']!r}, not {SETTINGS_VERSION}")
    hostname = _text(document["hostname"], "hostname")
    domains = frozenset(_text(entry["name"], "domain") for entry in document["domains"])
    default = _quota(document.get("quota"))
    people = {
        person.address: person
        for person in (_person(entry, default) for entry in document["people"])
    }
    for address in people:
        parts = split(address)
        if parts is None or parts[1] not in domains:
            raise ValueError(f"the address {address!r} is in none of the domains")
    aliases = {alias: person.address for person in people.values() for alias in person.aliases}

    def owner(address: str) -> str | None:
        parts = split(address)
        if parts is not None and parts[1] not in {*domains, hostname}:
            return address
        return address if address in people else aliases.get(address)

    groups = read_groups(document.get("groups"), owner)
    roles = [f"{role}@{domain}" for domain in (*domains, hostname) for role in ROLE_NAMES]
    for role in roles:
        if people and role not in {*people, *groups}:
            aliases.setdefault(role, next(iter(people)))
    directory = Directory(
        hostname=hostname,
        domains=domains | {hostname},
        people=people,
        aliases={alias: target for alias, target in aliases.items() if alias not in people},
        canary=f"{CANARY_NAME}@{hostname}",
        limits=read_limits(document.get("limits")),
        groups=groups,
    )
    directory = replace(
        directory,
        catch_alls=read_catch_alls(
            document["domains"],
            lambda name: directory.recipients(name) or tuple(filter(None, [owner(name)])),
        ),
    )
    return directory if people else _with_roles(directory, roles, document["domains"][0]["name"])


def _with_roles(directory: Directory, roles: Sequence[str], first_domain: str) -> Directory:
    """Lead the role addresses that nobody has to the postmaster of the first domain."""
    members = directory.recipients(f"postmaster@{first_domain}")
    if not members:
        raise ValueError("there are no people, and mail for postmaster leads nowhere")
    given = {role: Group(role, members) for role in roles}
    return replace(directory, groups={**given, **directory.groups})


def _quota(value: object) -> int | None:
    """Return bytes for a size such as 10G, None for none."""
    if value is None or value == "none":
        return None
    match = re.fullmatch(r"(\d+)([MGT])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"the quota {value!r} is no size such as 10G")
    return int(match[1]) * _UNITS[match[2]]


def _person(entry: Any, default_quota: int | None) -> Person:
    address, password_hash = _text(entry["address"], "address"), entry["password_hash"]
    if not isinstance(password_hash, str) or not is_password_hash(password_hash):
        raise ValueError(f"the password_hash of {address} is no Argon2id hash in PHC form")
    return Person(
        address=address,
        password_hash=password_hash,
        aliases=tuple(_text(alias, "alias") for alias in entry.get("aliases") or ()),
        forward_to=tuple(_text(to, "forward_to") for to in entry.get("forward_to") or ()),
        quota=default_quota if entry.get("quota") is None else _quota(entry["quota"]),
    )


def _text(value: object, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{key} is {value!r}, not a text")
    return normalise(value)

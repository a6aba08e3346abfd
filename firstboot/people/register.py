"""Who there is, in the settings: what to change there to add, change or take out somebody.

Each function here makes an `Edit` of the settings and raises PersonError where the settings' own
rules would say less well what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from firstboot.base.addressrules import owner_elsewhere
from firstboot.base.change import Change, Edit
from firstboot.base.located import Plain
from firstboot.people.desk import NobodyError, PersonError

AS_ALL = "default"  # a quota of nobody's own: that of all people counts


@dataclass(frozen=True)
class Entry:
    """A person as the settings have one; `index` is the place in the list."""

    index: int
    address: str
    name: str
    aliases: tuple[str, ...]
    forward_to: tuple[str, ...]
    quota: str | None


def entries(settings: Mapping[str, Plain]) -> tuple[Entry, ...]:
    """The people of the settings, in their order."""
    return tuple(_entries(settings))


def domains(settings: Mapping[str, Plain]) -> tuple[str, ...]:
    """The domains of the settings, in their order."""
    return tuple(
        str(entry.get("name", "")).lower()
        for entry in _list(settings, "domains")
        if isinstance(entry, dict)
    )


def add_person(
    address: str, password_hash: str, name: str, aliases: Sequence[str], quota: str | None
) -> Edit:
    """Add somebody at the end."""

    def edit(settings: Mapping[str, Plain]) -> Sequence[Change]:
        for wanted in (address, *aliases):
            _require_free(settings, wanted)
        person: dict[str, Plain] = {"address": address.lower()}
        person |= {"name": name} if name else {}
        person |= {"password_hash": password_hash}
        person |= {"aliases": tuple(alias.lower() for alias in aliases)} if aliases else {}
        person |= {"quota": quota} if quota not in (None, AS_ALL) else {}
        return (Change(("people", len(_list(settings, "people"))), person),)

    return edit


def change_person(address: str, name: str | None, quota: str | None) -> Edit:
    """Give somebody another name or quota; None leaves it."""

    def edit(settings: Mapping[str, Plain]) -> Sequence[Change]:
        person = find(settings, address)
        place = ("people", person.index)
        changes = [] if name is None else [Change((*place, "name"), name)]
        if quota == AS_ALL:
            changes.append(Change((*place, "quota"), remove=True))
        elif quota is not None:
            changes.append(Change((*place, "quota"), quota))
        return changes

    return edit


def forward(address: str, to: Sequence[str]) -> Edit:
    """Send copies of somebody's mail to these addresses elsewhere and no others."""

    def edit(settings: Mapping[str, Plain]) -> Sequence[Change]:
        place = ("people", find(settings, address).index, "forward_to")
        wanted = tuple(each.lower() for each in to)
        return (Change(place, wanted) if wanted else Change(place, remove=True),)

    return edit


def take_out(address: str) -> Edit:
    """Take somebody out; nothing of the mail is touched."""

    def edit(settings: Mapping[str, Plain]) -> Sequence[Change]:
        person = find(settings, address)
        if person.address != address.lower():
            hint = f"Say it with the main address: {person.address}"
            raise PersonError(f"{address} is an alias", hint)
        if used := uses_of(settings, (person.address, *person.aliases)):
            raise PersonError(
                f"mail for others goes to {address}: {', '.join(used)}",
                "Change these first: mailstead settings show",
            )
        if len(entries(settings)) == 1 and not owner_elsewhere(settings):
            raise PersonError(
                f"{address} is the only person: mail for postmaster would have nowhere to go",
                "Add somebody else first, or a group postmaster or a catch_all to the settings: "
                "see docs/people.md, Without mailboxes",
            )
        return (Change(("people", person.index), remove=True),)

    return edit


def add_alias(alias: str, address: str) -> Edit:
    """Give somebody a further address."""

    def edit(settings: Mapping[str, Plain]) -> Sequence[Change]:
        person = find(settings, address)
        _require_free(settings, alias)
        wanted = (*person.aliases, alias.lower())
        return (Change(("people", person.index, "aliases"), wanted),)

    return edit


def remove_alias(alias: str) -> Edit:
    """Take a further address away from whoever has it."""

    def edit(settings: Mapping[str, Plain]) -> Sequence[Change]:
        if used := uses_of(settings, (alias.lower(),)):
            raise PersonError(
                f"mail for others goes to {alias}: {', '.join(used)}",
                "Change these first: mailstead settings show",
            )
        for person in entries(settings):
            if alias.lower() in person.aliases:
                left = tuple(known for known in person.aliases if known != alias.lower())
                return (Change(("people", person.index, "aliases"), left),)
        raise NobodyError(f"there is no alias {alias}", "`mailstead alias list` shows all.")

    return edit


def add_domain(name: str) -> Edit:
    """Receive mail for a further domain."""

    def edit(settings: Mapping[str, Plain]) -> Sequence[Change]:
        known = domains(settings)
        if name.lower() in known:
            raise PersonError(f"{name} is a domain of this machine already")
        return (Change(("domains", len(known)), {"name": name.lower()}),)

    return edit


def remove_domain(name: str) -> Edit:
    """Receive no more mail for a domain that nobody has an address in."""

    def edit(settings: Mapping[str, Plain]) -> Sequence[Change]:
        known = domains(settings)
        if name.lower() not in known:
            raise NobodyError(
                f"{name} is no domain of this machine", "`mailstead domain list` shows all."
            )
        used = addresses_in(settings, name)
        if used:
            raise PersonError(
                f"{name} is in use: {', '.join(used)}",
                "Take these people, aliases and groups out first.",
            )
        if len(known) == 1:
            raise PersonError(f"{name} is the only domain", "Add another one first.")
        return (Change(("domains", known.index(name.lower())), remove=True),)

    return edit


def find(settings: Mapping[str, Plain], address: str) -> Entry:
    """Whoever has an address or an alias. Raises PersonError when nobody has."""
    wanted = address.lower()
    for person in entries(settings):
        if wanted in (person.address, *person.aliases):
            return person
    raise NobodyError(f"there is no {address}", "`mailstead user list` shows who there is.")


def addresses_in(settings: Mapping[str, Plain], domain: str) -> tuple[str, ...]:
    """All addresses of people and groups, and aliases, of a domain."""
    people = [
        address for person in entries(settings) for address in (person.address, *person.aliases)
    ]
    found = (*people, *(address for address, _ in _groups(settings)))
    return tuple(address for address in found if address.rpartition("@")[2] == domain.lower())


def uses_of(settings: Mapping[str, Plain], addresses: Sequence[str]) -> tuple[str, ...]:
    """The groups with one of these as a member, and catch-alls that lead to one, in words."""
    groups = [
        f"group {group}" for group, members in _groups(settings) if set(members) & set(addresses)
    ]
    catching = [
        f"catch-all of {entry.get('name')}"
        for entry in _list(settings, "domains")
        if isinstance(entry, dict) and str(entry.get("catch_all") or "").lower() in addresses
    ]
    return (*groups, *catching)


def _groups(settings: Mapping[str, Plain]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The address of each group, and its members."""
    for entry in _list(settings, "groups"):
        if isinstance(entry, dict):
            members = entry.get("members")
            found = members if isinstance(members, tuple) else ()
            yield str(entry.get("address", "")).lower(), tuple(str(one).lower() for one in found)


def _require_free(settings: Mapping[str, Plain], address: str) -> None:
    wanted = address.lower()
    for person in entries(settings):
        if wanted == person.address:
            raise PersonError(f"{wanted} is there already")
        if wanted in person.aliases:
            raise PersonError(f"{wanted} is an alias of {person.address} already")
    if wanted in dict(_groups(settings)):
        raise PersonError(f"{wanted} is a group already")
    domain = wanted.rpartition("@")[2]
    if "@" in wanted and domain not in domains(settings):
        raise PersonError(
            f"{wanted} is in no domain of this machine ({', '.join(domains(settings))})",
            f"Add the domain first: mailstead domain add {domain}",
        )


def _entries(settings: Mapping[str, Plain]) -> Iterator[Entry]:
    for index, entry in enumerate(_list(settings, "people")):
        if isinstance(entry, dict):
            quota = entry.get("quota")
            yield Entry(
                index,
                str(entry.get("address", "")).lower(),
                str(entry.get("name") or ""),
                tuple(str(alias).lower() for alias in _list(entry, "aliases")),
                tuple(str(to).lower() for to in _list(entry, "forward_to")),
                None if quota is None else str(quota),
            )


def _list(settings: Mapping[str, Plain], key: str) -> tuple[Plain, ...]:
    value = settings.get(key)
    return value if isinstance(value, tuple) else ()

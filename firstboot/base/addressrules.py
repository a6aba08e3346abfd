"""What the addresses of people and groups must be as a whole; no I/O.

They look at the plain values of a document, so that they find their problems even where others were
found before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from firstboot.base.located import Located, Place, Plain
from firstboot.base.rules import items, lower, mapping


def check_people(document: Located) -> None:
    """Note domains and addresses that repeat, are reserved, or are in no domain."""
    root = mapping(document.value)
    domains = dict(_named(root, "domains", "name"))
    _note_repeated(document, domains)
    addresses = dict(_named(root, "people", "address"))
    for index, person in enumerate(items(root.get("people"))):
        for number, alias in enumerate(items(mapping(person).get("aliases"))):
            addresses["people", index, "aliases", number] = lower(alias)
    addresses.update(_named(root, "groups", "address"))
    _note_repeated(document, addresses)

    known = sorted(set(domains.values()))
    canary = f"canary@{lower(root.get('hostname'))}"
    for place, address in addresses.items():
        if not address or document.wrong(place):
            continue
        if address == canary:
            document.add(place, f"expected another address; {canary} is for the machine's checks")
        elif address.rpartition("@")[2] not in known and not document.wrong(("domains",)):
            wanted = f"expected an address in one of the domains ({', '.join(known)})"
            document.add(place, f"{wanted}, got {address!r}")


def check_owner(document: Located) -> None:
    """Note settings without people where the machine's own mail would have nowhere to go."""
    root = mapping(document.value)
    domains = dict(_named(root, "domains", "name"))
    if root.get("people") != () or not domains or document.wrong(("domains",)):
        return
    if not owner_elsewhere(root):
        first = next(iter(domains.values()))
        document.add(
            ("people",),
            "expected a person, or where mail is only forwarded, somebody elsewhere who gets that "
            f"for the postmaster: a group postmaster@{first} or a catch_all of {first}; got none",
        )


def owner_elsewhere(root: Mapping[str, Plain]) -> bool:
    """Whether the first domain has a group or a catch-all that takes what is for postmaster.

    Where there are no people, all groups and catch-alls lead elsewhere.
    """
    first = mapping(next(iter(items(root.get("domains"))), None))
    return bool(first.get("catch_all") or f"postmaster@{lower(first.get('name'))}" in _groups(root))


def check_groups(document: Located) -> None:
    """Note members and catch-alls that lead nowhere, and groups that lead to themselves."""
    root = mapping(document.value)
    groups = _groups(root)
    known = {*_addresses_of_people(root), *groups}
    here = {lower(root.get("hostname")), *dict(_named(root, "domains", "name")).values()}
    for index, group in enumerate(items(root.get("groups"))):
        members: dict[Place, str] = {
            ("groups", index, "members", number): lower(member)
            for number, member in enumerate(items(mapping(group).get("members")))
        }
        _note_repeated(document, members)
        _note_unknown(document, members, known, here)
        for place, member in members.items():
            own = lower(mapping(group).get("address"))
            if not document.wrong(place) and own in {member, *_below(member, groups)}:
                text = f"expected a member that does not lead back to {own}, got {member!r}"
                document.add(place, text)
    _note_unknown(document, dict(_named(root, "domains", "catch_all")), known, here)
    _check_forwards(document, root, here)


def _note_unknown(
    document: Located, addresses: dict[Place, str], known: set[str], here: set[str]
) -> None:
    for place, address in addresses.items():
        nobodys = address.rpartition("@")[2] in here and address not in known
        if nobodys and not document.wrong(place):
            wanted = "expected an address that a person or a group has, or one elsewhere"
            document.add(place, f"{wanted}, got {address!r}")


def _check_forwards(document: Located, root: dict[str, Plain], here: set[str]) -> None:
    for index, person in enumerate(items(root.get("people"))):
        places: dict[Place, str] = {
            ("people", index, "forward_to", number): lower(address)
            for number, address in enumerate(items(mapping(person).get("forward_to")))
        }
        _note_repeated(document, places)
        for place, address in places.items():
            if address.rpartition("@")[2] in here and not document.wrong(place):
                text = f"expected an address elsewhere (here, take a group), got {address!r}"
                document.add(place, text)


def _groups(root: Mapping[str, Plain]) -> dict[str, tuple[str, ...]]:
    """Each group's address and its members."""
    return {
        lower(mapping(group).get("address")): tuple(
            lower(member) for member in items(mapping(group).get("members"))
        )
        for group in items(root.get("groups"))
    }


def _below(address: str, groups: dict[str, tuple[str, ...]]) -> set[str]:
    """All that a group leads to, of whatever depth."""
    found: set[str] = set()
    left = [address]
    while left:
        for member in groups.get(left.pop(), ()):
            if member not in found:
                found.add(member)
                left.append(member)
    return found


def _addresses_of_people(root: dict[str, Plain]) -> Iterator[str]:
    for person in items(root.get("people")):
        yield lower(mapping(person).get("address"))
        for alias in items(mapping(person).get("aliases")):
            yield lower(alias)


def _note_repeated(document: Located, texts: dict[Place, str]) -> None:
    first: dict[str, Place] = {}
    for place, text in texts.items():
        if text in first:
            line = document.line(first[text])
            document.add(place, f"expected each one once, got {text!r} again (line {line})")
        elif text:
            first[text] = place


def _named(root: dict[str, Plain], key: str, inner: str) -> Iterator[tuple[Place, str]]:
    """The texts at `key[n].inner`, in lower case."""
    for index, item in enumerate(items(root.get(key))):
        if text := lower(mapping(item).get(inner)):
            yield (key, index, inner), text

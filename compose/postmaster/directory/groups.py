"""Addresses of several people, from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from postmaster.addresses import normalise


@dataclass(frozen=True)
class Group:
    """`members` are main addresses of people, and addresses elsewhere, each once.

    Those of groups within the group are among them.
    """

    address: str
    members: tuple[str, ...]
    send_as: bool = False  # whether the members may send from its address


def read_groups(entries: Any, owner_of: Callable[[str], str | None]) -> dict[str, Group]:
    """Make the groups by their addresses.

    `owner_of` an address is the main address of its person, or itself elsewhere; None when it is
    nobody's here. A member may be such an address or another group. Raises KeyError, TypeError,
    or ValueError for a member that is none of these, and for a group that leads to itself.
    """
    given = {normalise(entry["address"]): entry for entry in entries or ()}

    def people(address: str, above: tuple[str, ...]) -> list[str]:
        if address in above:
            raise ValueError(f"the group {address} leads to itself")
        if address not in given:
            person = owner_of(address)
            if person is None:
                raise ValueError(f"{address} is in the group {above[-1]}, and is nobody's address")
            return [person]
        members = (normalise(member) for member in given[address]["members"])
        return [person for member in members for person in people(member, (*above, address))]

    return {
        address: Group(
            address,
            tuple(dict.fromkeys(people(address, ()))),
            send_as=entry.get("send_as") is True,
        )
        for address, entry in given.items()
    }


def read_catch_alls(
    domains: Any, people_of: Callable[[str], tuple[str, ...]]
) -> Mapping[str, tuple[str, ...]]:
    """Who gets what is for addresses of a domain that nobody has; ValueError when nobody does."""
    found = {}
    for entry in domains:
        if (address := entry.get("catch_all")) is not None:
            people = people_of(normalise(address))
            if not people:
                raise ValueError(f"the catch_all {address} is nobody's address")
            found[normalise(entry["name"])] = people
    return found

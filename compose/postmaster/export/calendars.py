"""A calendar or an address book as the one file that programs import (RFC 5545, RFC 6350).

In the store each event is a calendar of its own, with its time zones; here they are put together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from postmaster.storage.collection_values import Collection, Item

CALENDAR, CONTACTS = "VCALENDAR", "VADDRESSBOOK"
_END_OF_LINE = re.compile(r"\r\n|\n|\r")


@dataclass
class CollectionText:
    """The pieces of one file, in order: `head`, `items` as often as there are any, `tail`."""

    collection: Collection
    _zones: set[str] = field(default_factory=set, init=False, repr=False)

    @property
    def kind(self) -> str:
        """CALENDAR, CONTACTS, or something that holds nothing."""
        return self.collection.properties.get("tag", "")

    @property
    def name(self) -> str:
        """What people call it."""
        return self.collection.properties.get("D:displayname", "") or self.collection.name

    def head(self) -> str:
        """What comes first."""
        if self.kind != CALENDAR:
            return ""
        name = re.sub(r"([\\;,])", r"\\\1", " ".join(self.name.split()))
        lines = (
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Mailstead//Export//EN",
            f"X-WR-CALNAME:{name}",
        )
        return _text(lines)

    def items(self, items: Sequence[Item]) -> str:
        """What is in it; a time zone comes with the first that needs it."""
        if self.kind != CALENDAR:
            return "".join(_text(_END_OF_LINE.split(item.text.strip())) for item in items)
        found = []
        for item in items:
            for component, lines in _components(item.text):
                if component == "VTIMEZONE":
                    name = next((line for line in lines if line.upper().startswith("TZID")), "")
                    if name in self._zones:
                        continue
                    self._zones.add(name)
                found.append(_text(lines))
        return "".join(found)

    def tail(self) -> str:
        """What comes last."""
        return _text(("END:VCALENDAR",)) if self.kind == CALENDAR else ""


def _components(text: str) -> Iterator[tuple[str, list[str]]]:
    """What stands directly in a calendar: names and lines. A folded line begins with a space."""
    depth, name, lines = 0, "", list[str]()
    for line in _END_OF_LINE.split(text):
        word = line.rstrip().upper()
        if word.startswith("BEGIN:"):
            depth += 1
            if depth == 2:
                name, lines = word.removeprefix("BEGIN:"), []
        if depth >= 2 and line:
            lines.append(line)
        if word.startswith("END:"):
            if depth == 2:
                yield name, lines
            depth -= 1


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)

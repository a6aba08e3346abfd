"""When a changed setting counts: the one table of that.

Most settings are rendered into the stack by `mailstead boot`. A section that can follow at once
names the command that makes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from firstboot.base.located import Place


@dataclass(frozen=True)
class Effect:
    """`when` is a sentence for people; `command` is run to make it so, if there is one."""

    when: str
    command: tuple[str, ...] = ()


AT_NEXT_START = Effect("It counts from the next start on. To restart: mailstead power restart")
AT_ONCE = Effect("It counts from now on.")
_TOLD = Effect(AT_ONCE.when, ("mailstead", "user", "apply"))

# By section, the first part of a key.
EFFECTS: dict[str, Effect] = {
    "updates": AT_ONCE,
    "administrator": AT_ONCE,
    "dns": AT_ONCE,
    "checks": AT_ONCE,
    "backup": AT_ONCE,
    "pages": AT_ONCE,
    "people": _TOLD,
    "domains": _TOLD,
    "groups": _TOLD,
    "quota": _TOLD,
    "limits": _TOLD,
    "ssh": Effect(AT_ONCE.when, ("mailstead", "ssh", "apply")),
    "tls": Effect(
        "It counts from now on. What becomes of a new certificate: mailstead cert status",
        ("systemctl", "start", "--no-block", "mailstead-certificate.service"),
    ),
    "disk": Effect(
        "It counts from the next start on, which asks on the console for what it needs to know. "
        "To do it now: mailstead disk enrol"
    ),
}


def effects_of(places: Iterable[Place]) -> tuple[Effect, ...]:
    """What follows from changes at these places, each effect once."""
    found = (EFFECTS.get(str(place[0]), AT_NEXT_START) for place in places)
    return tuple(dict.fromkeys(found))

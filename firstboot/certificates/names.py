"""Which names besides the host's a certificate is asked for: those whose records lead here already.

An authority gives one certificate for all names that it is asked for, or none. A name that nobody
has entered in the DNS yet must not keep the others from theirs.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from firstboot.base.errors import CheckError

if TYPE_CHECKING:
    from firstboot.system.dnsclient import Answer

    Lookup = Callable[[str, str], Answer]

LOOK_EVERY_HOURS, LOOK_MINUTES = 6, 15


def names_that_lead_here(names: Sequence[str], hostname: str, lookup: Lookup) -> tuple[str, ...]:
    """Those of the names that are aliases of the host, or have one of its addresses."""
    addresses: set[str] = set()
    if names:
        addresses = _addresses(hostname, lookup)
    return tuple(
        name
        for name in names
        if hostname in _values(name, "CNAME", lookup) or addresses & _addresses(name, lookup)
    )


def time_to_look(now: datetime.datetime) -> bool:
    """Whether a run of the timer, every quarter of an hour, looks for names that are new."""
    return now.hour % LOOK_EVERY_HOURS == 0 and now.minute < LOOK_MINUTES


def _addresses(name: str, lookup: Lookup) -> set[str]:
    return {*_values(name, "A", lookup), *_values(name, "AAAA", lookup)}


def _values(name: str, kind: str, lookup: Lookup) -> tuple[str, ...]:
    """What there is; nothing where nobody answers."""
    try:
        return tuple(lookup(name, kind).values)
    except CheckError:
        return ()

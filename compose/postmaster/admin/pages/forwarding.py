"""Where copies of one's own mail go. It stands in the settings, so the machine is asked for it."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import Response

from postmaster.addresses import normalise
from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Page
from postmaster.admin.visit import Visit

PATH = "/forwarding"


async def show(visit: Visit) -> Response:
    """What it means, where copies go, and the form."""
    return visit.page("forwarding", to=", ".join(visit.me.forward_to), problems={})


async def take(visit: Visit) -> Response:
    """Send copies there and nowhere else. The machine has the directory check the password."""
    to, secret = visit.form["to"], visit.form["password"]
    field, key, status = _PROBLEMS["denied"]
    if secret:
        wanted: dict[str, Any] = {"forward_to": addresses_in(to), "from": visit.client}
        person = visit.me.address
        try:
            await visit.site.link.ask("own.forward", address=person, password=secret, **wanted)
        except MachineError as error:
            field, key, status = _PROBLEMS.get(error.kind, ("password", "common.away", 503))
        else:
            return visit.go(PATH, "forwarding.done")
    return visit.page("forwarding", status=status, to=to, problems={field: key})


def addresses_in(text: str) -> list[str]:
    """Return the addresses between commas and spaces, each once."""
    return list(dict.fromkeys(normalise(part) for part in re.split(r"[\s,;]+", text) if part))


# By what the machine says: the field, the text, and the status in HTTP.
_PROBLEMS = {
    "denied": ("password", "common.wrong-password", 422),
    "busy": ("password", "common.limited", 429),
    "invalid": ("to", "forwarding.wrong", 422),
    "refused": ("to", "common.refused", 422),
}

PAGES = (Page(PATH, show, take, menu="forwarding.menu"),)

"""Where copies of one's own mail go. It stands in the settings, so the machine is asked for it."""

from __future__ import annotations

import re

from starlette.responses import Response

from postmaster.addresses import normalise
from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Page
from postmaster.admin.visit import Visit

PATH = "/forwarding"


async def show(visit: Visit) -> Response:
    """What it means, where copies go, and the form."""
    return visit.page("forwarding", to=", ".join(visit.me.forward_to), problems={}, refused=None)


async def take(visit: Visit) -> Response:
    """Send copies there and nowhere else. The machine has the directory check the password."""
    to, secret = visit.form["to"], visit.form["password"]
    problems, refused, status = {}, None, 422
    if not secret:
        problems["password"] = "common.wrong-password"  # noqa: S105
    else:
        try:
            await visit.site.link.ask(
                "own.forward",
                address=visit.me.address,
                password=secret,
                forward_to=addresses_in(to),
                **{"from": visit.client},
            )
            return visit.go(PATH, "forwarding.done")
        except MachineError as error:
            if error.kind in {"invalid", "refused"}:
                refused = error
            else:
                key, status = _PROBLEMS.get(error.kind, ("common.away", 503))
                problems["password"] = key
    return visit.page("forwarding", status=status, to=to, problems=problems, refused=refused)


def addresses_in(text: str) -> list[str]:
    """Return the addresses between commas and spaces, each once."""
    return list(dict.fromkeys(normalise(part) for part in re.split(r"[\s,;]+", text) if part))


_PROBLEMS = {"denied": ("common.wrong-password", 422), "busy": ("common.limited", 429)}

PAGES = (Page(PATH, show, take, menu="forwarding.menu"),)

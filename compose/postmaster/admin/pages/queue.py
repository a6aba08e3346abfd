"""Mail that waits: why, and what to do about it."""

from __future__ import annotations

import time
from typing import Any

from starlette.responses import Response

from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Page
from postmaster.admin.sizes import ago, size_of
from postmaster.admin.visit import Visit

LIST = "/admin/queue"
DEEDS = ("retry", "hold", "release", "delete")


async def show(visit: Visit) -> Response:
    """The list."""
    return await _list(visit)


async def take(visit: Visit) -> Response:
    """Do something to one message; deleting wants to be confirmed."""
    deed, message = visit.form["deed"], visit.form["id"]
    if deed not in DEEDS:
        return visit.go(LIST)
    if deed == "delete" and visit.form["sure"] != "yes":
        return visit.page("queue_delete", id=message, sender=visit.form["sender"])
    try:
        await visit.ask(f"queue.{deed}", ids=[message])
    except MachineError as error:
        return await _list(visit, error)
    return visit.go(LIST, f"queue.{deed}-done")


async def _list(visit: Visit, problem: MachineError | None = None) -> Response:
    status = visit.refused(problem) if problem else 200
    found = await visit.ask("queue.list")
    rows = [_row(visit, message) for message in found["messages"]]
    return visit.page("queue", status=status, rows=rows, problem=problem)


def _row(visit: Visit, message: dict[str, Any]) -> dict[str, Any]:
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in message["recipients"]:
        what_to_do = one["what_to_do"] if one["said"] else ""
        reasons.setdefault((one["reason"], what_to_do), []).append(one["address"])
    return {
        "id": message["id"],
        "held": message["state"] == "hold",
        "sender": message["sender"],
        "when": ago(visit.text, time.time() - message["arrived"]),
        "size": size_of(message["size"]),
        "reasons": [
            {"text": text, "advice": advice, "addresses": addresses}
            for (text, advice), addresses in reasons.items()
        ],
    }


PAGES = (Page(LIST, show, take, administrator=True, menu="queue.menu"),)

"""What became of mail: "why did this mail not arrive"."""

from __future__ import annotations

import datetime
from typing import Any

from starlette.responses import Response

from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Page
from postmaster.admin.sizes import ago, size_of
from postmaster.admin.visit import Visit

SEARCH = "/admin/log"
MOST = 50
DAYS = (1, 2, 7, 14, 31)
USUAL_DAYS = 7
# The log is cut where it begins: told when it is later than what was asked for by this.
_CLEARLY_SECONDS = 3600
# What the owner need not do anything about.
_WELL = {"delivered", "delivered-before", "passed-on"}


async def show(visit: Visit) -> Response:
    """The form; and what was found, once something is looked for."""
    query = visit.request.query_params
    days = query.get("days", "")
    chosen = int(days) if days in {str(one) for one in DAYS} else USUAL_DAYS
    wanted = {name: query.get(name, "").strip()[:254] for name in ("to", "from")}
    values: dict[str, Any] = {"wanted": wanted, "days": chosen, "all_days": DAYS}
    if not days:
        return visit.page("mail_log", found=None, problem=None, **values)
    try:
        found = await visit.ask("log.search", **wanted, days=chosen, most=MOST)
    except MachineError as error:
        status = visit.refused(error)
        return visit.page("mail_log", status=status, found=None, problem=error, **values)
    now = datetime.datetime.now(datetime.UTC)
    begins = found["begins"]
    late = begins is None or (
        (datetime.datetime.fromisoformat(begins) - now).total_seconds() + chosen * 86_400
        > _CLEARLY_SECONDS
    )
    return visit.page(
        "mail_log",
        found=[_story(visit, story, now) for story in reversed(found["messages"])],
        earlier=found["earlier"],
        begins=_when(begins) if late and begins else "",
        empty=begins is None,
        problem=None,
        **values,
    )


def _story(visit: Visit, story: dict[str, Any], now: datetime.datetime) -> dict[str, Any]:
    age = (now - datetime.datetime.fromisoformat(story["time"])).total_seconds()
    return {
        "sender": story["sender"],
        "client": story["client"],
        "time": story["time"],
        "when": _when(story["time"]),
        "ago": ago(visit.text, age),
        "size": size_of(story["size"]) if story["size"] else "",
        "score": story["score"],
        "because": story["because"],
        "fates": [{**fate, "well": fate["outcome"] in _WELL} for fate in story["recipients"]],
        "others": story["others"],
    }


def _when(time: str) -> str:
    return f"{time[:10]} {time[11:16]} UTC"


PAGES = (Page(SEARCH, show, administrator=True, menu="mail-log.menu"),)

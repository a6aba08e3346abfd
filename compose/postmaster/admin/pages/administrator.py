"""The way in and out for who runs the machine, and the first of the pages there."""

from __future__ import annotations

import asyncio
import datetime
import math
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from postmaster.admin.charts import make_chart
from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Page
from postmaster.admin.sizes import ago, size_of
from postmaster.admin.visit import (
    ADMINISTRATOR_COOKIE,
    ADMINISTRATOR_SIGN_IN,
    Visit,
    remove_cookie,
    set_cookie,
)

HOME = "/admin"
KINDS = ("received", "junk", "refused", "sent")
# How many bars a graph has, and what stands for the time of each.
PLACES: Mapping[str, tuple[int, Callable[[str], str]]] = {
    "hour": (24, lambda start: f"{start[5:10]} {start[11:16]} UTC"),
    "day": (28, lambda start: start[:10]),
}


async def show_form(visit: Visit) -> Response:
    """The form."""
    return _form(visit)


async def take(visit: Visit) -> Response:
    """Sign in: the machine compares the password and gives a token, which the cookie holds."""
    try:
        found = await visit.site.link.ask(
            "administrator.login", **{"password": visit.form["password"], "from": visit.client}
        )
    except MachineError as error:
        return _form(visit, error)
    response = visit.go(HOME)
    set_cookie(response, ADMINISTRATOR_COOKIE, str(found["token"]))
    return response


async def leave(visit: Visit) -> Response:
    """Sign out."""
    await visit.ask("administrator.logout")
    response = visit.go(ADMINISTRATOR_SIGN_IN)
    remove_cookie(response, ADMINISTRATOR_COOKIE)
    return response


async def show(visit: Visit) -> Response:
    """How the machine is."""
    per = "day" if visit.request.query_params.get("mail") == "day" else "hour"
    status, queue, rates = await asyncio.gather(
        visit.ask("status"), _messages(visit), _rates(visit, per)
    )
    services = status["containers"]
    ill = [one["name"] for one in services if not _is_well(one)]
    problems = [str(problem) for problem in status["problems"]]
    return visit.page(
        "administrator",
        status=200,
        machine_status=status,
        ill=ill,
        running=len(services) - len(ill),
        problems=problems,
        disk=_share(status["disk"]),
        memory=_share(status["memory"]),
        backups=[_backup(visit, one) for one in status.get("backups", ())],
        certificate=status.get("certificate"),
        upgrade=status.get("upgrade"),
        uptime=_duration(float(status["uptime"])),
        queue=queue,
        per=per,
        rates=_graphs(visit, rates) if rates else None,
    )


def _form(visit: Visit, error: MachineError | None = None) -> Response:
    problem, status = "", 200
    if error is not None:
        away = error.kind != "denied"
        problem, status = ("administrator.away", 503) if away else ("administrator.wrong", 422)
        if "no administrator's password" in error.message:
            problem = "administrator.none-set"
        elif error.wait:
            problem, status = "administrator.wait", 429
    wait = math.ceil(error.wait) if error else 0
    text = visit.text(problem, seconds=wait) if problem else ""
    return visit.page("administrator_sign_in", status=status, problem=text)


async def _messages(visit: Visit) -> int | None:
    """How many messages wait; None when the queue cannot be seen, which is no reason to stop."""
    try:
        return len((await visit.ask("queue.list"))["messages"])
    except MachineError as error:
        if error.kind == "denied":
            raise
        return None


async def _rates(visit: Visit, per: str) -> dict[str, Any] | None:
    """How much mail came and went; None when that cannot be known."""
    try:
        return await visit.ask("mail.rates", per=per)
    except MachineError as error:
        if error.kind == "denied":
            raise
        return None


def _graphs(visit: Visit, found: dict[str, Any]) -> dict[str, Any]:
    """A graph for each kind, and the numbers for a table, the newest first."""
    places, shown = PLACES[found["per"]]
    rows = [{**rate, "when": shown(rate["start"])} for rate in found["rates"]]
    graphs = []
    for kind in KINDS:
        drawn = make_chart([(row["when"], row[kind]) for row in rows], places)
        name = visit.text(f"administrator.mail-{kind}")
        label = visit.text(
            "administrator.mail-graph", name=name, total=drawn.total, most=drawn.most
        )
        graphs.append({"kind": kind, "name": name, "drawn": drawn, "label": label})
    begins = found["begins"]
    late = len(rows) < places and begins
    return {
        "graphs": graphs,
        "rows": rows[::-1],
        "begins": f"{begins[:10]} {begins[11:16]} UTC" if late else "",
    }


def _is_well(container: dict[str, Any]) -> bool:
    return bool(container["health"] == "healthy")


def _share(usage: dict[str, Any]) -> dict[str, Any]:
    used, total = int(usage["used"]), int(usage["total"])
    percent = round(100 * used / total) if total else 0
    return {"used": size_of(used), "total": size_of(total), "percent": percent}


def _backup(visit: Visit, standing: dict[str, Any]) -> dict[str, Any]:
    made = standing.get("last_good")
    when = ""
    if isinstance(made, str) and made:
        seconds = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(made)
        when = ago(visit.text, seconds.total_seconds())
    return {"target": standing["target"], "state": standing["state"], "when": when}


def _duration(seconds: float) -> str:
    minutes = int(seconds) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"


PAGES = (
    Page(HOME, show, administrator=True, menu="administrator.menu"),
    Page(ADMINISTRATOR_SIGN_IN, show_form, take, public=True),
    Page("/admin/sign-out", take=leave, administrator=True),
)

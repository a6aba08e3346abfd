"""Tokens of programs that use the API: which there are, one more, and the end of one."""

from __future__ import annotations

import datetime
from typing import Any

from starlette.responses import Response

from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Page
from postmaster.admin.sizes import ago
from postmaster.admin.visit import Visit

LIST = "/admin/tokens"
SCOPES = ("status", "read", "people", "domains", "queue")
USUAL = ("status",)  # what a monitor needs
MOST_LABEL = 60  # characters, as the machine has it


async def show(visit: Visit) -> Response:
    """The list, and the form for one more."""
    return await _list(visit)


async def take(visit: Visit) -> Response:
    """Make one and show it, this once."""
    label, chosen = visit.form["label"].strip(), visit.form.all("scope")
    try:
        made = await visit.ask("tokens.add", label=label, scopes=chosen)
    except MachineError as error:
        return await _list(visit, label[:MOST_LABEL], chosen, error)
    return visit.page("token_made", label=label, made=str(made["token"]))


async def revoke(visit: Visit) -> Response:
    """End one."""
    try:
        await visit.ask("tokens.revoke", id=visit.form["id"])
    except MachineError as error:
        return await _list(visit, problem=error)
    return visit.go(LIST, "tokens.revoked")


async def _list(
    visit: Visit, label: str = "", chosen: Any = USUAL, problem: MachineError | None = None
) -> Response:
    status = visit.refused(problem) if problem else 200
    rows = [
        {
            "id": token["id"],
            "label": token["label"],
            "scopes": [visit.text(f"tokens.{scope}") for scope in token["scopes"]],
            "made": _ago(visit, token["made"]),
            "used": _ago(visit, token["last_use"]) if token["last_use"] else "",
        }
        for token in (await visit.ask("tokens.list"))["tokens"]
    ]
    return visit.page(
        "tokens",
        status=status,
        rows=rows,
        scopes=SCOPES,
        most=MOST_LABEL,
        label=label,
        chosen=chosen,
        problem=problem,
    )


def _ago(visit: Visit, time: str) -> str:
    passed = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(time)
    return ago(visit.text, passed.total_seconds())


PAGES = (
    Page(LIST, show, take, administrator=True, menu="tokens.menu"),
    Page(f"{LIST}/revoke", take=revoke, administrator=True),
)

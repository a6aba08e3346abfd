"""Who there is: a list, somebody new, changes, and taking somebody out."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Page
from postmaster.admin.pages.forwarding import addresses_in
from postmaster.admin.visit import Visit

LIST = "/admin/people"


async def show(visit: Visit) -> Response:
    """The list."""
    found = await visit.ask("people.list")
    return visit.page("people", people=found["people"], left=found["left"])


async def show_new(visit: Visit) -> Response:
    """The form for somebody new."""
    return visit.page("person_new", values=_NOBODY, problem=None)


async def take_new(visit: Visit) -> Response:
    """Add somebody."""
    values = {key: visit.form[key].strip() for key in _NOBODY}
    try:
        await visit.ask(
            "people.add",
            address=values["address"],
            name=values["name"],
            quota=values["quota"] or None,
            password=visit.form["password"],
        )
    except MachineError as error:
        return visit.page("person_new", status=visit.refused(error), values=values, problem=error)
    return visit.go(LIST, "people.added")


async def show_one(visit: Visit) -> Response:
    """One person, with forms for what can be changed."""
    return await _one(visit, visit.request.query_params.get("address", ""))


async def change(visit: Visit) -> Response:
    """Another name or quota."""
    return await _do(
        visit,
        "people.change",
        "people.changed",
        address=visit.form["address"],
        name=visit.form["name"].strip(),
        quota=visit.form["quota"].strip() or "default",
    )


async def add_alias(visit: Visit) -> Response:
    """A further address."""
    alias, address = visit.form["alias"].strip(), visit.form["address"]
    return await _do(visit, "aliases.add", "people.changed", alias=alias, address=address)


async def remove_alias(visit: Visit) -> Response:
    """One address less."""
    return await _do(visit, "aliases.remove", "people.changed", alias=visit.form["alias"])


async def forward(visit: Visit) -> Response:
    """Copies elsewhere, or no more."""
    address, to = visit.form["address"], addresses_in(visit.form["to"])
    return await _do(visit, "people.forward", "people.changed", address=address, forward_to=to)


async def leave(visit: Visit) -> Response:
    """Take somebody out, once that is confirmed."""
    address = visit.form["address"]
    if visit.form["sure"] != "yes":
        return visit.page("person_leave", address=address)
    try:
        await visit.ask("people.leave", address=address)
    except MachineError as error:
        return await _one(visit, address, error)
    return visit.go(LIST, "people.left-now")


async def _do(visit: Visit, verb: str, notice: str, **arguments: Any) -> Response:
    address = visit.form["address"]
    try:
        await visit.ask(verb, **arguments)
    except MachineError as error:
        return await _one(visit, address, error)
    return visit.go(LIST, notice)


async def _one(visit: Visit, address: str, problem: MachineError | None = None) -> Response:
    status = visit.refused(problem) if problem else 200
    found = await visit.ask("people.list")
    for person in found["people"]:
        if person["address"] == address:
            return visit.page("person", status=status, person=person, problem=problem)
    return visit.go(LIST, "people.gone")


_NOBODY = {"address": "", "name": "", "quota": ""}

PAGES = (
    Page(LIST, show, administrator=True, menu="people.menu"),
    Page(f"{LIST}/new", show_new, take_new, administrator=True),
    Page(f"{LIST}/one", show_one, change, administrator=True),
    Page(f"{LIST}/alias", take=add_alias, administrator=True),
    Page(f"{LIST}/alias/remove", take=remove_alias, administrator=True),
    Page(f"{LIST}/forward", take=forward, administrator=True),
    Page(f"{LIST}/leave", take=leave, administrator=True),
)

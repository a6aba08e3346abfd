"""Domains, and the DNS records that each needs."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Page
from postmaster.admin.visit import Visit

LIST = "/admin/domains"


async def show(visit: Visit) -> Response:
    """The list, and the form for one more."""
    return await _list(visit)


async def add(visit: Visit) -> Response:
    """One more."""
    name = visit.form["name"].strip()
    try:
        await visit.ask("domains.add", name=name)
    except MachineError as error:
        return await _list(visit, name, error)
    return visit.go(LIST, "domains.added")


async def remove(visit: Visit) -> Response:
    """One less; the machine refuses it while somebody has an address there."""
    try:
        await visit.ask("domains.remove", name=visit.form["name"])
    except MachineError as error:
        return await _list(visit, "", error)
    return visit.go(LIST, "domains.removed")


async def show_records(visit: Visit) -> Response:
    """The records of a domain, to be copied."""
    domain = visit.request.query_params.get("domain", "")
    try:
        found = await visit.ask("dns.records", domain=domain)
    except MachineError as error:
        return await _list(visit, "", error)
    return _records(visit, domain, found, checked=False)


async def check_records(visit: Visit) -> Response:
    """The same with what is published of them."""
    domain = visit.form["domain"]
    try:
        found = await visit.ask("dns.check", domain=domain)
    except MachineError as error:
        return await _list(visit, "", error)
    return _records(visit, domain, found, checked=True)


def _records(visit: Visit, domain: str, found: dict[str, Any], *, checked: bool) -> Response:
    note = found["addresses"]["note"]
    return visit.page(
        "records", domain=domain, records=found["records"], note=note, checked=checked
    )


async def _list(visit: Visit, name: str = "", problem: MachineError | None = None) -> Response:
    status = visit.refused(problem) if problem else 200
    found = await visit.ask("domains.list")
    return visit.page(
        "domains", status=status, domains=found["domains"], wanted=name, problem=problem
    )


PAGES = (
    Page(LIST, show, add, administrator=True, menu="domains.menu"),
    Page(f"{LIST}/remove", take=remove, administrator=True),
    Page(f"{LIST}/records", show_records, check_records, administrator=True),
)

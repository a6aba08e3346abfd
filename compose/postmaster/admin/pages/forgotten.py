"""Another password for who has forgotten it, by the recovery code; nobody is logged in."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.directory import ProblemError
from postmaster.admin.page import Page
from postmaster.admin.pages.password import fault_of
from postmaster.admin.problems import key_of, status_of
from postmaster.admin.visit import Visit

MOST_ADDRESS = 254  # characters of an address (RFC 5321, 4.5.3.1.3)


async def show(visit: Visit) -> Response:
    """The form."""
    return _form(visit, login="", problems={})


async def take(visit: Visit) -> Response:
    """Set the password; every session of the person ends with the one before."""
    login, code, new = visit.form["address"].strip(), visit.form["code"].strip(), visit.form["new"]
    problems = {}
    if not 0 < len(login) <= MOST_ADDRESS or not code:
        problems["code"] = "forgotten.wrong"
    if problem := fault_of(new):
        problems["new"] = problem
    elif new != visit.form["again"]:
        problems["again"] = "password.differs"
    if problems:
        return _form(visit, status=422, login=login[:MOST_ADDRESS], problems=problems)
    try:
        await visit.site.directory.set_forgotten(login, code, new, visit.client)
    except ProblemError as error:
        problems = {"code": key_of(error.problem, "forgotten.wrong")}
        return _form(visit, status=status_of(error.problem), login=login, problems=problems)
    return visit.page("forgotten_done")


def _form(visit: Visit, *, status: int = 200, login: str, problems: dict[str, str]) -> Response:
    return visit.page("forgotten", status=status, login=login, problems=problems)


PAGES = (Page("/forgotten", show, take, public=True),)

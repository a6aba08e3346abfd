"""The end of an account, with all that is in it. The machine does that, if its owner allows it."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.machine_link import MachineError
from postmaster.admin.page import Page
from postmaster.admin.problems import machine_problem
from postmaster.admin.visit import SESSION_COOKIE, Visit, remove_cookie

PATH = "/delete-account"


async def show(visit: Visit) -> Response:
    """What is lost, and the form; or that the owner does not allow it."""
    return await _form(visit)


async def take(visit: Visit) -> Response:
    """Destroy it. There is nobody to be signed in any more."""
    secret, typed, person = visit.form["password"], visit.form["address"], visit.me.address
    try:
        if not secret:
            raise MachineError("denied")
        asked = {"from": visit.client, "typed": typed}
        done = await visit.site.link.ask("own.end", address=person, password=secret, **asked)
    except MachineError as error:
        return await _form(visit, typed, error)
    for session in visit.site.sessions.of(person):
        visit.site.sessions.end(person, session.id)
    visit.session, visit.person, visit.secret = None, None, ""
    response = visit.page("account_deleted", address=person, destroyed=bool(done["destroyed"]))
    remove_cookie(response, SESSION_COOKIE)
    return response


async def _form(visit: Visit, typed: str = "", error: MachineError | None = None) -> Response:
    problems, status, refusal = {}, 200, None
    if error is not None and error.kind == "invalid":
        problems, status = {"address": "delete.wrong-address"}, 422
    elif error is not None and error.kind == "refused":
        refusal, status = error, 422
    elif error is not None:
        key, status = machine_problem(error)
        problems = {"password": key}
    allowed = (await visit.site.link.ask("own.terms"))["delete_account"]
    return visit.page(
        "delete_account",
        status=status,
        allowed=allowed,
        typed=typed,
        problems=problems,
        refusal=refusal,
    )


PAGES = (Page(PATH, show, take),)

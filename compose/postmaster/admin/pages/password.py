"""Another password. The mail is not encrypted anew: its key is put under the new one."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.directory import ProblemError
from postmaster.admin.page import Page
from postmaster.admin.problems import key_of, status_of
from postmaster.admin.visit import Visit

MIN_PASSWORD = 10  # characters, as `directory.changes` has it
MAX_PASSWORD_BYTES = 1024


async def show(visit: Visit) -> Response:
    """The form."""
    return visit.page("password", problems={})


async def take(visit: Visit) -> Response:
    """Change it; all other sessions end."""
    secret, new = visit.form["password"], visit.form["new"]
    problems = {} if secret else {"password": "password.wrong"}
    if problem := fault_of(new):
        problems["new"] = problem
    elif new != visit.form["again"]:
        problems["again"] = "password.differs"
    if problems:
        return visit.page("password", status=422, problems=problems)
    directory, person = visit.site.directory, visit.me.address
    try:
        await directory.change_password(person, secret, new, visit.client)
        state = await directory.describe(person)
    except ProblemError as error:
        problems = {"password": key_of(error.problem, "password.wrong")}
        return visit.page("password", status=status_of(error.problem), problems=problems)
    visit.my_session.stamp = state.stamp
    visit.site.sessions.end_others(visit.my_session)
    return visit.go("/password", "password.done")


def fault_of(new: str) -> str:
    """Return the key of what is wrong with a new password, "" when it will do."""
    if len(new) < MIN_PASSWORD:
        return "password.short"
    if len(new.encode()) > MAX_PASSWORD_BYTES or not new.isprintable():
        return "password.long"
    return ""


PAGES = (Page("/password", show, take, menu="password.menu"),)

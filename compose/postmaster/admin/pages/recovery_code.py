"""The recovery code, which opens the mail of somebody who has forgotten the password."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.directory import ProblemError
from postmaster.admin.page import Page
from postmaster.admin.problems import key_of, status_of
from postmaster.admin.visit import Visit


async def show(visit: Visit) -> Response:
    """What it is for, and the form that makes one."""
    return visit.page("recovery_code", problem="", code="")


async def take(visit: Visit) -> Response:
    """Make one and show it, this once."""
    secret = visit.form["password"]
    if not secret:
        return visit.page("recovery_code", status=422, problem="common.wrong-password", code="")
    directory, person = visit.site.directory, visit.me.address
    try:
        code = await directory.new_recovery_code(person, secret, visit.client)
    except ProblemError as error:
        key = key_of(error.problem, "common.wrong-password")
        return visit.page("recovery_code", status=status_of(error.problem), problem=key, code="")
    return visit.page("recovery_code", problem="", code=code)


PAGES = (Page("/recovery-code", show, take, menu="recovery.menu"),)

"""Mail from before a reset of the password, opened by the secret of that time."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.directory import ProblemError
from postmaster.admin.page import Page
from postmaster.admin.problems import key_of, status_of
from postmaster.admin.visit import Visit


async def show(visit: Visit) -> Response:
    """The form, for who has such mail."""
    return visit.page("sealed_mail", problem="") if visit.me.sealed else visit.go("/")


async def take(visit: Visit) -> Response:
    """Have it moved in at the next login of a mail program."""
    secret = visit.form["secret"].strip()
    if not visit.me.sealed:
        return visit.go("/")
    if not secret:
        return visit.page("sealed_mail", status=422, problem="sealed.wrong")
    try:
        await visit.site.directory.unlock_old(visit.me.address, secret, visit.client)
    except ProblemError as error:
        key = key_of(error.problem, "sealed.wrong")
        return visit.page("sealed_mail", status=status_of(error.problem), problem=key)
    return visit.go("/", "sealed.done")


PAGES = (Page("/sealed-mail", show, take),)

"""What one shows besides the password when signing in: an authenticator app, set up and removed."""

from __future__ import annotations

from starlette.responses import Response

from postmaster.admin.codes import picture_of
from postmaster.admin.directory import Problem, ProblemError
from postmaster.admin.page import Page
from postmaster.admin.problems import key_of, status_of
from postmaster.admin.visit import Visit

OVERVIEW, NEW_APP = "/second-factor", "/second-factor/app"
GROUP = 4  # letters of a key that are shown together


async def show(visit: Visit) -> Response:
    """What there is, and what it means."""
    return visit.page("second_factor", problem="")


async def remove(visit: Visit) -> Response:
    """Do without, by the password."""
    secret, person = visit.form["password"], visit.me.address
    try:
        if not secret:
            raise ProblemError(Problem.WRONG)
        await visit.site.directory.remove_factors(person, secret, visit.client)
    except ProblemError as error:
        key = key_of(error.problem, "common.wrong-password")
        return visit.page("second_factor", status=status_of(error.problem), problem=key)
    return visit.go(OVERVIEW, "second-factor.removed")


async def show_app(visit: Visit) -> Response:
    """A new key for an authenticator app, and the form that proves that the app has it."""
    return await _app(visit, "", {})


async def take_app(visit: Visit) -> Response:
    """Set it up; all other sessions end."""
    key, code, secret = visit.form["key"], visit.form["code"].strip(), visit.form["password"]
    problems = {} if code else {"code": "second-factor.code-wrong"}
    problems |= {} if secret else {"password": "common.wrong-password"}
    status = 422
    if not problems:
        directory, person = visit.site.directory, visit.me.address
        try:
            await directory.add_totp(person, secret, key, code, visit.client)
        except ProblemError as error:
            problems = {"password": key_of(error.problem, "common.wrong-password")}
            if error.problem is Problem.REFUSED:
                problems = {"code": "second-factor.code-wrong"}
            status = status_of(error.problem)
        else:
            visit.site.sessions.end_others(visit.my_session)
            return visit.go(OVERVIEW, "second-factor.added")
    return await _app(visit, key, problems, status)


async def _app(visit: Visit, key: str, problems: dict[str, str], status: int = 200) -> Response:
    made = await visit.site.directory.new_totp(visit.me.address, key)
    groups = [made.key[start : start + GROUP] for start in range(0, len(made.key), GROUP)]
    return visit.page(
        "second_factor_app",
        status=status,
        made=made,
        shown=" ".join(groups),
        picture=picture_of(made.uri),
        problems=problems,
    )


PAGES = (
    Page(OVERVIEW, show, menu="second-factor.menu"),
    Page(f"{OVERVIEW}/remove", take=remove),
    Page(NEW_APP, show_app, take_app),
)
